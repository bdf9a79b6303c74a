"""Measures how long a wiped node takes to the tip of a long chain: by a snapshot of the state, and by blocks.

    python -m tools.bench.sync [--blocks 10500] [--accounts 4000] [--transfers 2] [--ways state,blocks]
                               [--nice -10] [--chain FOLDER] [--out docs/results/sync.json]

The chain is made first, with four validators' real signatures, through the production executive, ledger and archive,
with the snapshots that a node takes by default; `--chain` keeps it for the next run. Then two real processes on
loopback, connected as peers are (gRPC over mutual TLS): one serves, one starts with an empty data folder. The time
runs from the start of that process to the moment at which its API says that it is at the tip.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from flockchain.node.config import ApiConfig, EvaluatorConfig, LogConfig, MetricsConfig, NodeConfig, PeerConfig
from flockchain.node.config import SyncConfig as SyncSettings
from flockchain.node.home import Home, generate_secrets, initialise_home
from flockchain.runtime.genesis import encode_genesis, load_genesis
from flockchain.storage.archive import Archive
from flockchain.storage.level_store import LevelStore
from flockchain.storage.snapshot_files import FileShelf
from tests.kit.long_chains import LongChain, build_long_genesis
from tests.kit.networks import NodeProcess, find_ports
from tools.bench.machine import CpuClock, describe_command, describe_machine, set_priority
from tools.bench.results import render_sync

POLL_S = 0.1
LIMIT_S = 600.0
STATE_BOUND_S = 30.0
BLOCKS_BOUND_PER_S = 200.0
_EPOCH_BLOCKS = 50


def main() -> int:
    """Print a table, write the figures, and fail when one misses its bound."""
    options = _parse_options()
    with _open_folder(options.chain) as folder:
        server = _prepare_server(folder, options)
        machine = describe_machine()
        runs = [_measure(folder, server, way, options.blocks, options.nice) for way in options.ways.split(",")]
    figures: dict[str, Any] = {
        "command": _describe_command(), "machine": machine, "blocks": options.blocks,
        "accounts": options.accounts, "transfers_per_block": options.transfers,
        "epoch_blocks": _EPOCH_BLOCKS, "nice": options.nice, "runs": runs,
    }  # fmt: skip
    print(render_sync(figures))
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        options.out.with_suffix(".md").write_text(render_sync(figures), encoding="utf-8")
    return int(not all(run["is_within_bound"] for run in runs))


def _describe_command() -> str:
    """Where the chain is kept does not matter."""
    words = describe_command("tools.bench.sync").split()
    if "--chain" in words:
        del words[words.index("--chain") : words.index("--chain") + 2]
    return " ".join(words)


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=10_500, help="half way between two snapshots")
    parser.add_argument("--accounts", type=int, default=4_000)
    parser.add_argument("--transfers", type=int, default=2, help="in each block")
    parser.add_argument("--nice", type=int, default=0, help="priority against other work on this machine; -10: ahead")
    parser.add_argument("--ways", default="state,blocks")
    parser.add_argument("--chain", type=Path, help="where the chain is made, or was made by an earlier run")
    parser.add_argument("--out", type=Path, help="a JSON file; a Markdown file goes beside it")
    return parser.parse_args()


@contextmanager
def _open_folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _prepare_server(folder: Path, options: argparse.Namespace) -> NodeProcess:
    """The node that has the chain; it is no validator, so the chain stays as long as it is."""
    home = Home(folder / "server")
    done = folder / "blocks"
    if not done.exists():
        genesis = build_long_genesis(options.blocks, epoch_blocks=_EPOCH_BLOCKS, accounts=options.accounts)
        node = _make_node(home.path, encode_genesis(genesis), ())
        begun = time.monotonic()
        archive = Archive(LevelStore(home.data / "chain"))
        chain = LongChain(genesis, archive, FileShelf(home.data / "snapshots"), options.accounts)
        chain.grow(options.blocks, options.transfers)
        archive.close()
        done.write_text(str(options.blocks))
        print(f"made {options.blocks} blocks in {time.monotonic() - begun:.0f} s", file=sys.stderr)
        return node
    if int(done.read_text()) != options.blocks:
        raise SystemExit(f"the chain in {folder} has {done.read_text()} blocks, not {options.blocks}")
    config = home.load_config()
    return NodeProcess(home.path, generate_secrets(), config, load_genesis(home.load_genesis_toml()))


def _make_node(path: Path, genesis_toml: bytes, peers: tuple[str, ...], *, is_by_state: bool = True) -> NodeProcess:
    peer, api = find_ports(2)
    config = NodeConfig(
        PeerConfig(f"127.0.0.1:{peer}", peers=peers), ApiConfig(f"127.0.0.1:{api}"), EvaluatorConfig(), MetricsConfig(),
        replace(LogConfig(), format="json"), SyncSettings(state_sync=is_by_state),
    )  # fmt: skip
    secrets = generate_secrets()
    home = initialise_home(path, genesis_toml, config, secrets)
    home.data.mkdir(exist_ok=True)
    return NodeProcess(path, secrets, config, load_genesis(genesis_toml))


def _measure(folder: Path, server: NodeProcess, way: str, blocks: int, nice: int) -> dict[str, Any]:
    """One wiped node, from its start to the tip."""
    is_by_state = way == "state"
    with tempfile.TemporaryDirectory(dir=folder) as place:
        address = server.config.peer.listen
        wiped = _make_node(
            Path(place) / "wiped", (server.home / "genesis.toml").read_bytes(), (address,), is_by_state=is_by_state
        )
        try:
            server.start()
            _wait_for_height(server, blocks)
            begun = time.monotonic()
            wiped.start()
            pids = _get_pids(server, wiped)
            if nice:
                set_priority(pids, nice)
            cpu = CpuClock.read(pids)
            _wait_for_height(wiped, blocks)
            seconds = time.monotonic() - begun
            used = CpuClock.read(pids).since(cpu)
            joined_at = _find_joined_height(wiped)
        finally:
            for node in (wiped, server):
                if node.process is not None:
                    node.stop()
    rate = blocks / seconds
    is_within = seconds < STATE_BOUND_S if is_by_state else rate > BLOCKS_BOUND_PER_S
    return {
        "way": way, "seconds": round(seconds, 2), "blocks_per_s": round(rate, 1), "snapshot_height": joined_at,
        "cpu_s": round(used, 1), "is_within_bound": bool(is_within and (joined_at > 0) == is_by_state),
    }  # fmt: skip


def _wait_for_height(node: NodeProcess, height: int) -> None:
    deadline = time.monotonic() + LIMIT_S
    while node.get_height() < height:
        if node.process is not None and node.process.poll() is not None:
            raise RuntimeError(f"the node has ended: {node.log[-2000:]}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"height {node.get_height()} after {LIMIT_S} s: {node.log[-2000:]}")
        time.sleep(POLL_S)


def _get_pids(*nodes: NodeProcess) -> list[int]:
    return [node.process.pid for node in nodes if node.process is not None]


def _find_joined_height(node: NodeProcess) -> int:
    """The height of the snapshot that the node installed; 0 if none."""
    lines = [json.loads(line) for line in node.log.splitlines() if line.startswith("{")]
    heights = [line["height"] for line in lines if line.get("event") == "installing a snapshot"]
    return heights[-1] if heights else 0


if __name__ == "__main__":
    sys.exit(main())
