"""Measures finalized transfers: four validators as real processes on loopback, signed transfers at steady rates.

    python -m tools.bench.transfers [--rates 100,700] [--seconds 10] [--repeats 3] [--out docs/results/transfers.json]

For each rate, as the median of its runs: transfers per second that became final, the time from handing a transfer to a
node to hearing from that node that it is final (p50, p99), the same for blocks from their timestamps, blocks per
second, and the validators' CPU. The load generator runs on the same cores as the validators.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from flockchain.client import Account, AsyncClient
from flockchain.crypto.hashing import hash_tagged
from tests.e2e.network import Network
from tools.bench.load import BlockHeard, LoadResult, Sender, build_load, run_load
from tools.bench.machine import CpuClock, describe_command, describe_machine, get_percentile, set_priority
from tools.bench.results import render_transfers

VALIDATORS = 4
SENDERS = 200
TICK_S = 0.05  # a client hands over what it has this often
IDLE_BLOCK_MS = 400
EPOCH_BLOCKS = 100


def main() -> int:
    """Run every rate on one network, print a table, and write the figures."""
    options = _parse_options()
    rates = [int(rate) for rate in options.rates.split(",")]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        machine = describe_machine(Path(folder))
        senders = [
            Sender(Account(hash_tagged("bench-account", str(at).encode())), at % VALIDATORS) for at in range(SENDERS)
        ]
        network = Network.plan(
            Path(folder) / "net", VALIDATORS, epoch_blocks=EPOCH_BLOCKS, idle_block_ms=IDLE_BLOCK_MS,
            accounts=[sender.account.account for sender in senders],
        )  # fmt: skip
        try:
            network.start_all()
            pids = [process.handle.pid for process in network.fleet.processes.values()]
            if options.priority is not None:
                set_priority([os.getpid(), *pids], options.priority)
            network.wait_for_height(3, timeout_s=60)
            runs = asyncio.run(_measure(network, senders, rates * options.repeats, options.seconds))
        finally:
            network.close()
    figures = {
        "command": describe_command("tools.bench.transfers"),
        "validators": VALIDATORS, "senders": SENDERS, "epoch_blocks": EPOCH_BLOCKS, "machine": machine, "runs": runs,
    }  # fmt: skip
    print(render_transfers(figures))
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        options.out.with_suffix(".md").write_text(render_transfers(figures), encoding="utf-8")
    return 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", default="100,700", help="transfers per second offered")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a run")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each rate")
    parser.add_argument("--priority", type=int, help="nice level of all processes, on a machine with other work")
    parser.add_argument("--out", type=Path, help="a JSON file; a Markdown file goes beside it")
    parser.add_argument("--folder", type=Path, help="where the nodes' folders are made; the disk to measure")
    return parser.parse_args()


async def _measure(
    network: Network, senders: Sequence[Sender], rates: Sequence[int], seconds: float
) -> list[dict[str, Any]]:
    pids = [network.fleet.processes[name].handle.pid for name in network.nodes]
    runs = []
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(AsyncClient(node.api_address)) for node in network.nodes.values()]
        await _run_once(clients, senders, 50, 1.0)  # every code path and connection is warm
        for rate in rates:
            load_before = os.getloadavg()[0]
            clock = CpuClock.read(pids)
            result = await _run_once(clients, senders, rate, seconds)
            used_s = CpuClock.read(pids).since(clock)
            runs.append({**_describe(result, rate), "validators_cpu_s": round(used_s, 2), "load_1min": load_before})
    return runs


async def _run_once(clients: Sequence[AsyncClient], senders: Sequence[Sender], rate: int, seconds: float) -> LoadResult:
    status = await clients[0].chain.get_status()
    metadata = await clients[0].chain.get_metadata()
    load = build_load(senders, len(clients), status, metadata, per_s=rate, seconds=seconds, tick_s=TICK_S)
    result = await run_load(clients, load)
    if result.refusals:
        raise RuntimeError(f"{len(result.refusals)} transfers were refused, the first: {result.refusals[0]}")
    return result


def _describe(result: LoadResult, rate: int) -> dict[str, Any]:
    busy = [block for block in result.blocks.values() if block.transfers]
    finality = [block.finality_ms for block in busy]
    return {
        "offered_per_s": rate,
        "finalized_per_s": round(len(result.final_s) / result.span_s, 1) if result.span_s else 0.0,
        "transfers": len(result.submitted_s),
        "lost": len(result.submitted_s) - len(result.final_s),
        "transfer_finality_ms": _summarise(result.latencies_ms),
        "block_finality_ms": _summarise(finality),
        "blocks_per_s": round(len(busy) / result.span_s, 1) if result.span_s else 0.0,
        "nullified_views": _count_nullified(result.blocks),
    }


def _summarise(values: Sequence[float]) -> dict[str, float]:
    return {f"p{percent}": round(get_percentile(values, percent), 1) for percent in (50, 99)}


def _count_nullified(blocks: dict[int, BlockHeard]) -> int:
    """Views of one epoch that gave no block. Those in which an epoch's last block waited for finality count too."""
    heights = sorted(blocks)
    pairs = [(blocks[at], blocks[at + 1]) for at in heights if at + 1 in blocks]
    return sum(after.view - before.view - 1 for before, after in pairs if before.epoch == after.epoch)


if __name__ == "__main__":
    sys.exit(main())
