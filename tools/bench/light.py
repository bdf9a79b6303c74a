"""Measures a light client's verification: one skip, the search for a change of validators, and epoch by epoch.

    python -m tools.bench.light [--validators 100] [--epochs 200] [--out docs/results/light-client.json]

The chain has headers, validator sets and certificates of real keys, and no state. One new validator joins after a sixth
of the epochs and signs from then on. Only verification is timed: light blocks are made before, and none travels.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from flockchain.light.light_block import LIGHT_BLOCK, LightBlock
from flockchain.light.pursuit import Pursuit
from tests.kit.light_chain import EPOCH_BLOCKS, LightChain
from tools.bench.machine import describe_command, describe_machine


def main() -> int:
    """Print the figures and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--validators", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    machine = describe_machine()
    first = {f"validator {number}": 100 + number for number in range(options.validators)}
    joined = options.epochs // 6
    chain = LightChain.make([first] * joined + [{**first, "the new one": 500}], options.epochs * EPOCH_BLOCKS)
    end = options.epochs * EPOCH_BLOCKS
    ways = {
        "one skip while the validators stay": (joined * EPOCH_BLOCKS - 1, 0),
        "skipping, one new validator on the way": (end, 0),
        "epoch by epoch": (end, options.epochs),
    }
    figures: dict[str, Any] = {
        "command": describe_command("tools.bench.light"), "machine": machine, "validators": options.validators,
        "epochs": options.epochs, "light_block_bytes": len(LIGHT_BLOCK.encode(chain.get_light_block(end))),
        "ways": {name: _time_way(chain, *way) for name, way in ways.items()},
    }  # fmt: skip
    text = json.dumps(figures, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    return 0


def _time_way(chain: LightChain, height: int, near_epochs: int) -> dict[str, Any]:
    """The second of two runs: the first one makes the light blocks."""
    made: dict[int, LightBlock] = {}
    target, now_ms = chain.get_light_block(height), chain.get_time(len(chain.headers))
    spent_ns = verified = 0
    for _ in range(2):
        pursuit = Pursuit(chain.trust(), target, near_epochs=near_epochs)
        began = time.perf_counter_ns()
        pursuit.advance(now_ms)
        spent_ns = time.perf_counter_ns() - began
        while pursuit.wanted is not None:
            epoch = pursuit.wanted
            if epoch not in made:
                made[epoch] = chain.get_last_of(epoch)
            began = time.perf_counter_ns()
            pursuit.on_light_block(made[epoch], now_ms)
            spent_ns += time.perf_counter_ns() - began
        verified = len(pursuit.hops)
    return {"epochs_ahead": target.header.epoch, "headers": verified, "milliseconds": round(spent_ns / 1e6, 1)}


if __name__ == "__main__":
    raise SystemExit(main())
