"""Measures how soon things answer: a new chain's first finalized block, and the command line's help.

    python -m tools.bench.startup [--runs 5] [--out docs/results/startup.json]

A run makes a folder with `flockchain init` and starts it with `flockchain start`, as two processes; it ends when the
node's API tells of a finalized block. Files and page cache are as a second start finds them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc

from flockchain.devnet.processes import Fleet, find_free_ports
from flockchain.v1 import chain_pb2, chain_pb2_grpc
from tests.e2e.network import FLOCKCHAIN
from tools.bench.machine import describe_command, describe_machine
from tools.bench.results import render_startup

POLL_S = 0.01
LIMIT_S = 60.0
HELP_BOUND_S = 0.4
FIRST_BLOCK_BOUND_S = 3.0


def main() -> int:
    """Print a table, write the figures, and fail when a median is over its bound."""
    options = _parse_options()
    machine = describe_machine()
    first_blocks = [_time_first_block() for _ in range(options.runs)]
    figures: dict[str, Any] = {
        "command": describe_command("tools.bench.startup"),
        "machine": machine,
        "help_s": _summarise([_time_help() for _ in range(options.runs)], HELP_BOUND_S),
        "init_s": _summarise([init_s for init_s, _ in first_blocks], None),
        "first_block_s": _summarise([sum(pair) for pair in first_blocks], FIRST_BLOCK_BOUND_S),
    }
    print(render_startup(figures))
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        options.out.with_suffix(".md").write_text(render_startup(figures), encoding="utf-8")
    bounded = (figures["help_s"], figures["first_block_s"])
    return int(any(item["median"] >= item["bound"] for item in bounded))


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, help="a JSON file; a Markdown file goes beside it")
    return parser.parse_args()


def _time_help() -> float:
    begun = time.monotonic()
    subprocess.run([*FLOCKCHAIN, "--help"], check=True, capture_output=True, timeout=LIMIT_S)
    return time.monotonic() - begun


def _time_first_block() -> tuple[float, float]:
    """Seconds of `init`, and from `start` to the first finalized block."""
    peer, api = find_free_ports(2)
    with tempfile.TemporaryDirectory() as folder:
        home, address = Path(folder) / "home", f"127.0.0.1:{api}"
        begun = time.monotonic()
        subprocess.run(
            [*FLOCKCHAIN, "init", "--home", str(home), "--listen", f"127.0.0.1:{peer}", "--api", address],
            check=True, capture_output=True, timeout=LIMIT_S,
        )  # fmt: skip
        made = time.monotonic()
        fleet = Fleet(Path(folder) / "logs", {})
        try:
            fleet.start("node", [*FLOCKCHAIN, "start", "--home", str(home)])
            _wait_for_block(address, fleet)
            return made - begun, time.monotonic() - made
        finally:
            fleet.stop_all()


def _wait_for_block(address: str, fleet: Fleet) -> None:
    deadline = time.monotonic() + LIMIT_S
    options = (("grpc.initial_reconnect_backoff_ms", 20), ("grpc.max_reconnect_backoff_ms", 20))
    with grpc.insecure_channel(address, options) as channel:
        stub: Any = chain_pb2_grpc.ChainServiceStub(channel)  # type: ignore[arg-type]
        while time.monotonic() < deadline:
            fleet.require_alive()
            try:
                if stub.GetStatus(chain_pb2.GetStatusRequest(), timeout=1).height > 0:
                    return
            except grpc.RpcError:
                pass
            time.sleep(POLL_S)
    raise TimeoutError(f"no finalized block after {LIMIT_S} s")


def _summarise(seconds: Sequence[float], bound: float | None) -> dict[str, Any]:
    return {
        "median": round(statistics.median(seconds), 3), "least": round(min(seconds), 3),
        "most": round(max(seconds), 3), "runs": len(seconds), "bound": bound,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
