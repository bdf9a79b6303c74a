"""Tune the steps of the servers' optimisers: `python -m flockchain_ml.experiments.tuning --out DIR`.

Nobody attacks, and the seeds are not the tables'. Every run is a file in DIR, and a run that is there is not repeated.
The rate with the highest mean accuracy after the last round is printed for each rule, for `contenders.SERVER_RATES`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from flockchain.cli.output import to_plain
from flockchain_ml.aggregation import RULES, AggregationRule
from flockchain_ml.experiments.cell import write_cell
from flockchain_ml.experiments.contenders import Contender
from flockchain_ml.experiments.rehearsal import Rehearsal
from flockchain_ml.experiments.scenario import DEMO, Scenario
from flockchain_ml.models import LoadedModel, get_tiny_folder, load_model

__all__ = ["RATES", "TUNING_SEEDS", "choose_rates", "main", "tune_rates"]

TUNING_SEEDS: Final = (61, 62)
_ADAPTIVE: Final = (0.01, 0.03, 0.1, 0.3)
RATES: Final[Mapping[str, tuple[float, ...]]] = {
    "fedavgm": (0.25, 0.5, 1.0),
    "fedadagrad": _ADAPTIVE,
    "fedyogi": _ADAPTIVE,
    "fedadam": _ADAPTIVE,
}


def tune_rates(
    loaded: LoadedModel, scenario: Scenario, seeds: Sequence[int], folder: Path,
    rates: Mapping[str, Sequence[float]] = RATES,
) -> list[dict[str, Any]]:  # fmt: skip
    """Every run: rule, rate, seed and the accuracy of its rounds. What is in the folder already is read."""
    described = json.dumps({"scenario": to_plain(scenario), "base": loaded.digest.hex()}, sort_keys=True)
    digest = hashlib.sha256(described.encode()).hexdigest()[:12]
    runs = []
    for seed in seeds:
        rehearsal = Rehearsal(loaded, scenario, seed, lambda step: print(step, file=sys.stderr, flush=True))
        for name, tried in rates.items():
            for rate in tried:
                file = folder / f"tune-{name}-{rate:g}-{seed}-{digest}.json"
                if not file.exists():
                    rounds = rehearsal.run_contender(Contender(f"{name} at {rate:g}", _set_rate(RULES[name], rate)))
                    accuracies = [item.measures.accuracy for item in rounds]
                    write_cell(file, {"rule": name, "rate": rate, "seed": seed, "accuracies": accuracies})
                runs.append(json.loads(file.read_bytes()))
    return runs


def choose_rates(runs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """By rule, the rate with the highest mean accuracy of the last round; of equal ones the smallest."""
    chosen: dict[str, tuple[float, float]] = {}
    for name, rate in sorted({(run["rule"], run["rate"]) for run in runs}):
        last = [run["accuracies"][-1] for run in runs if (run["rule"], run["rate"]) == (name, rate)]
        mean = sum(last) / len(last)
        if name not in chosen or mean > chosen[name][0]:
            chosen[name] = (mean, rate)
    return {name: rate for name, (_, rate) in chosen.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, run what is missing, print every run's accuracies and the chosen rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed-list", default=",".join(str(seed) for seed in TUNING_SEEDS))
    parser.add_argument("--rounds", type=int, default=DEMO.rounds)
    parser.add_argument("--steps", type=int, default=DEMO.training.steps)
    parser.add_argument("--rules", default=",".join(RATES))
    parser.add_argument("--base", type=Path, default=get_tiny_folder(), help="a local model folder")
    chosen = parser.parse_args(arguments)
    training = replace(DEMO.training, steps=chosen.steps)
    scenario = replace(DEMO, trainers=10, malicious=0, rounds=chosen.rounds, training=training)
    seeds = [int(seed) for seed in chosen.seed_list.split(",")]
    rates = {name: RATES[name] for name in chosen.rules.split(",")}
    runs = tune_rates(load_model(chosen.base), scenario, seeds, chosen.out, rates)
    print(json.dumps({"runs": runs, "settings": asdict(training), "chosen": choose_rates(runs)}, indent=1))


def _set_rate(rule: Any, rate: float) -> AggregationRule:
    tuned: AggregationRule = replace(rule, server_rate=rate)
    return tuned


if __name__ == "__main__":
    main()
