"""Real validators under real faults: `python -m tools.chaos.run --kills 200 --loss 30 --out docs/results/chaos.json`.

Four `flockchain start` processes, each in a network namespace of its own behind a switch that loses and cuts frames
(or on loopback behind proxies where namespaces cannot be made), transfers into each of them all the time, and the
trials one after the other. Exits with 1 if anything that was reported as final is missing anywhere, anybody signed
twice, or a healed partition did not go on within two time-outs.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.bench.machine import describe_command, describe_machine
from tools.chaos.fabric import open_fabric
from tools.chaos.network import ChaosNetwork, list_names
from tools.chaos.results import render
from tools.chaos.trials import judge, run_kills, run_loss, run_partition
from tools.chaos.verdict import Votes

__all__ = ["Trials", "is_clean", "is_good", "run_trials"]

_START_S = 60.0


@dataclass(frozen=True, slots=True)
class Trials:
    """How much of each."""

    kills: int = 200
    loss_percent: int = 30
    loss_s: float = 60.0
    healthy_s: float = 60.0  # before it, to compare with
    partitions_s: tuple[float, ...] = (30.0, 5.0, 60.0)
    seed: int = 1
    rate: int = 10
    validators: int = 4
    fabric: str = "any"
    rest_s: float = 5.0  # between two trials


def run_trials(trials: Trials, folder: Path, say: Any) -> dict[str, Any]:
    """Run them all on one network; the figures and the verdict."""
    votes = Votes()
    with open_fabric(folder / "fabric", list_names(trials.validators), trials.seed, trials.fabric) as fabric:
        say(f"{trials.validators} validators, {fabric.kind}, {trials.rate} transfers a second into each")
        network = ChaosNetwork.plan(folder, fabric, trials.validators, trials.rate)
        try:
            network.start_all()
            network.wait_until(lambda: min(map(network.get_height, network.names)) >= 2, "the network starts", _START_S)
            figures: dict[str, Any] = {"fabric": fabric.kind, "timeouts": _describe_timeouts(network)}
            if trials.loss_s:
                figures["loss"] = run_loss(network, trials.loss_percent, trials.healthy_s, trials.loss_s, say)
                time.sleep(trials.rest_s)
            figures["partitions"] = []
            for seconds in trials.partitions_s:
                figures["partitions"].append(run_partition(network, seconds, say))
                time.sleep(trials.rest_s)
            if trials.kills:
                figures["kills"] = run_kills(network, trials.kills, trials.seed, votes, say)
            figures["verdict"] = judge(network, votes, say)
            return figures
        finally:
            network.close()


def is_good(figures: dict[str, Any]) -> bool:
    """Whether nothing was lost, nothing signed twice, and every healed partition went on within two time-outs."""
    limit_s = 2 * figures["timeouts"]["view_ms"] / 1000
    return is_clean(figures) and all(each["first_block_s"] <= limit_s for each in figures["partitions"])


def is_clean(figures: dict[str, Any]) -> bool:
    """Whether nothing was lost, nothing signed twice, and nothing said before it was on disk."""
    verdict = figures["verdict"]
    return not (verdict["lost"] or verdict["signed_twice"] or verdict["said_before_written"])


def _describe_timeouts(network: ChaosNetwork) -> dict[str, int]:
    consensus = network.network.genesis.consensus
    return {"leader_ms": consensus.leader_timeout_ms, "view_ms": consensus.view_timeout_ms,
            "retry_ms": consensus.retry_ms}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, run, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--loss", type=int, default=30, help="per cent of the frames")
    parser.add_argument("--loss-seconds", type=float, default=60.0, help="with loss, and as long without before it")
    parser.add_argument("--partitions", default="30,5,60", help="seconds of each, separated by commas; empty: none")
    parser.add_argument("--rate", type=int, default=10, help="transfers a second into each validator")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fabric", choices=("any", "namespaces", "proxies"), default="any")
    parser.add_argument("--out", type=Path, help="a JSON file; a Markdown file goes beside it")
    parser.add_argument("--folder", type=Path, help="where the nodes' folders are made, and kept")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:6.0f} s  {text}", flush=True)

    partitions = tuple(float(part) for part in options.partitions.split(",") if part)
    trials = Trials(
        kills=options.kills, loss_percent=options.loss, loss_s=options.loss_seconds, healthy_s=options.loss_seconds,
        partitions_s=partitions, seed=options.seed, rate=options.rate, fabric=options.fabric,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        figures = {"command": describe_command("tools.chaos.run"), "machine": describe_machine(folder)}
        figures |= run_trials(trials, folder, say)
    figures["load"] = {"transfers_per_s_and_validator": trials.rate, "validators": trials.validators}
    figures["seconds"] = round(time.monotonic() - begun)
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        options.out.with_suffix(".md").write_text(render(figures), encoding="utf-8")
    print(render(figures))
    return 0 if is_good(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
