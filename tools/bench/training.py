"""Measures local training of one round's clients: by a plain loop with peft, one after another, and all together.

    python -m tools.bench.training [--clients 1,8] [--steps 20] [--repeats 3] [--out docs/results/training.json]

The ways take turns in one process on one core. Seconds are the process's own processor time, so that other work on the
machine counts little; the figures to read are the ratios, medians over the repeats. Results are compared as well.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from flockchain.exact import decode_update
from flockchain.primitives.learning import AdapterMode
from flockchain_ml.experiments.scenario import DEMO
from flockchain_ml.models import LoadedModel, get_tiny_folder, load_model
from flockchain_ml.trainer import TrainedUpdate, TrainOrder, train_update, train_updates
from tests.kit.plain_training import train_plainly
from tools.bench.machine import describe_command, describe_machine
from tools.bench.results import render_machine, render_table

SEED: Final = 7
Way = Callable[[LoadedModel, Sequence[TrainOrder]], list[TrainedUpdate]]
WAYS: Final[dict[str, Way]] = {
    "plain": lambda loaded, orders: [train_plainly(loaded, order) for order in orders],
    "alone": lambda loaded, orders: [train_update(loaded, order) for order in orders],
    "together": train_updates,
}


def main() -> int:
    """Measure every mode and number of clients, print a table, and write the figures."""
    options = _parse_options()
    machine, loaded = describe_machine(), load_model(get_tiny_folder())
    runs = [
        _measure(loaded, mode, int(clients), options.steps, options.repeats)
        for mode in AdapterMode
        for clients in options.clients.split(",")
    ]
    figures = {
        "command": describe_command("tools.bench.training"), "steps": options.steps, "repeats": options.repeats,
        "batch_rows": DEMO.training.batch_rows, "machine": machine, "runs": runs,
    }  # fmt: skip
    print(render_training(figures))
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        options.out.with_suffix(".md").write_text(render_training(figures), encoding="utf-8")
    return 0


def render_training(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    rows = [
        (
            run["mode"], run["clients"], *(run["client_step_ms"][way] for way in WAYS), run["ratio_alone"],
            run["ratio_together"], "yes" if run["is_same_bytes"] else "NO", run["steps_apart"], run["losses_apart"],
        )
        for run in figures["runs"]
    ]  # fmt: skip
    headings = (
        "mode", "clients", "plain ms", "alone ms", "together ms", "plain / alone", "plain / together", "same bytes",
        "apart of plain", "losses apart",
    )  # fmt: skip
    return "\n".join([
        "# Training",
        "",
        f"Clients of the demonstration, {figures['steps']} steps of {figures['batch_rows']} rows on the shipped base,",
        "one thread, set-up included: processor milliseconds to a client's step. *Plain* is a textbook loop with peft",
        "(`tests/kit/plain_training.py`), *alone* `train_update` for one client after another, *together*",
        f"`train_updates` for all. Medians of {figures['repeats']} turns.",
        "",
        f"    {figures['command']}",
        "",
        render_machine(figures["machine"]),
        "",
        render_table(headings, rows),
        "",
        "*Same bytes*: every client's update is the same alone and together. *Apart of plain*: the largest gap between",
        "an update's integers and the plain loop's, in steps of the wire; *losses apart*: of a step's loss, in nats.",
        "",
    ])  # fmt: skip


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", default="1,8", help="how many train in a round")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="a JSON file; a Markdown file goes beside it")
    return parser.parse_args()


def _measure(loaded: LoadedModel, mode: AdapterMode, clients: int, steps: int, repeats: int) -> dict[str, Any]:
    scenario = replace(DEMO, mode=mode, trainers=max(clients, DEMO.trainers), malicious=0)
    spec = scenario.build_spec(loaded, SEED)
    settings = replace(scenario.training, steps=steps)
    orders = [
        TrainOrder(
            spec, (), scenario.build_shard(SEED, at), 0, scenario.compute_training_seed(SEED, at, 0), settings
        )
        for at in range(clients)
    ]  # fmt: skip
    for way in WAYS.values():
        way(loaded, [replace(orders[0], settings=replace(settings, steps=2))])  # every code path is warm
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    results: dict[str, list[TrainedUpdate]] = {}
    for _ in range(repeats):
        for name, way in WAYS.items():
            begun = time.process_time()
            results[name] = way(loaded, orders)
            seconds[name].append(time.process_time() - begun)
    return {
        "mode": mode.name, "clients": clients,
        "client_step_ms": {
            name: round(1000 * statistics.median(own) / (clients * steps), 2) for name, own in seconds.items()
        },
        "ratio_alone": _compute_ratio(seconds["plain"], seconds["alone"]),
        "ratio_together": _compute_ratio(seconds["plain"], seconds["together"]),
        "is_same_bytes": results["alone"] == results["together"],
        "steps_apart": max(
            _compute_steps_apart(decode_update(one.update, spec), decode_update(other.update, spec))
            for one, other in zip(results["together"], results["plain"], strict=True)
        ),
        "losses_apart": float(f"{_compute_losses_apart(results['together'], results['plain']):.2g}"),
    }  # fmt: skip


def _compute_ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    return round(statistics.median(one / other for one, other in zip(slow, fast, strict=True)), 2)


def _compute_steps_apart(left: dict[str, Any], right: dict[str, Any]) -> int:
    return max(int(np.abs(left[name].astype(np.int32) - right[name].astype(np.int32)).max()) for name in left)


def _compute_losses_apart(left: Sequence[TrainedUpdate], right: Sequence[TrainedUpdate]) -> float:
    pairs = zip(left, right, strict=True)
    return max(abs(a - b) for one, other in pairs for a, b in zip(one.losses, other.losses, strict=True))


if __name__ == "__main__":
    sys.exit(main())
