"""The learning side of a devnet: prepare its task, measure its model, draw its plots.

    python -m flockchain_ml.experiments.devnet prepare --home DIR --seed 7 --trainers 8 --rounds 5 ...
    python -m flockchain_ml.experiments.devnet measure --home DIR ... --task 0 --node HOST:PORT
    python -m flockchain_ml.experiments.devnet plot --report report.json --to DIR

The figures with the votes' filter are those of the aggregates that the chain certified; the undefended and the
isolated ones are rehearsed, side by side in two processes, from the same seed, rows and settings.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from flockchain.client import Client
from flockchain.client.task_file import encode_task_file
from flockchain.exact import compute_update_bytes
from flockchain.primitives.learning import AcceptanceRule, AdapterMode, TaskSpec
from flockchain.primitives.numbers import ZERO_HASH, Balance, MicroNats, TaskId
from flockchain_ml.aggregation import FedAvg
from flockchain_ml.data import write_rows
from flockchain_ml.evaluation import Measures, measure_lineage
from flockchain_ml.experiments.rehearsal import Rehearsal
from flockchain_ml.experiments.scenario import DEMO, Scenario, parse_attack
from flockchain_ml.models import LoadedModel, get_tiny_folder, load_model

__all__ = ["build_task", "main"]

_FLOCK: Final = 10**9
_SUBMIT_BLOCKS: Final = 900  # deadlines for a slow machine; phases close early when they are complete
_COMMIT_BLOCKS: Final = 600
_REVEAL_BLOCKS: Final = 200
_AGGREGATE_BLOCKS: Final = 300


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and do one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("prepare", "measure"):
        chosen = verbs.add_parser(verb)
        chosen.add_argument("--home", type=Path, required=True)
        chosen.add_argument("--seed", type=int, required=True)
        chosen.add_argument("--trainers", type=int, default=DEMO.trainers)
        chosen.add_argument("--rounds", type=int, default=DEMO.rounds)
        chosen.add_argument("--validators", type=int, default=4)
        chosen.add_argument("--attack", default="none", help="NAME:COUNT, or none")
        if verb == "measure":
            chosen.add_argument("--task", type=int, required=True)
            chosen.add_argument("--node", action="append", required=True)
    plot = verbs.add_parser("plot")
    plot.add_argument("--report", type=Path, required=True)
    plot.add_argument("--to", type=Path, required=True)
    parsed = parser.parse_args(arguments)
    {"prepare": _prepare, "measure": _measure, "plot": _plot}[parsed.verb](parsed)
    return 0


def build_task(scenario: Scenario, loaded: LoadedModel, seed: int, validators: int) -> TaskSpec:
    """The scenario as a task of the chain. What follows from the suite is left zero: the task file computes it."""
    spec = scenario.build_spec(loaded, seed)
    return TaskSpec(
        name="demo", base_model=loaded.digest, adapter=spec, suite_root=ZERO_HASH, suite_rows=0,
        suite_blob=ZERO_HASH, suite_bytes=0, prompts_per_round=scenario.prompts_per_round, audit_rows=4,
        rule=AcceptanceRule.ACCUMULATED, reputation_cap=MicroNats(scenario.rule.reputation_cap),
        mass_threshold=MicroNats(scenario.rule.mass_threshold),
        reputation_floor=MicroNats(scenario.rule.reputation_floor), committee_size=validators,
        min_updates=max(1, scenario.trainers // 2), max_updates=scenario.trainers,
        max_update_bytes=2 * compute_update_bytes(spec), submit_blocks=_SUBMIT_BLOCKS, commit_blocks=_COMMIT_BLOCKS,
        reveal_blocks=_REVEAL_BLOCKS, aggregate_blocks=_AGGREGATE_BLOCKS, rounds=scenario.rounds,
        reward_pool=Balance(1_000 * _FLOCK), update_bond=Balance(50 * _FLOCK),
    )  # fmt: skip


def _build_scenario(parsed: argparse.Namespace) -> Scenario:
    attack, malicious = parse_attack(parsed.attack)
    rows = max(DEMO.suite_rows, parsed.rounds * DEMO.prompts_per_round)
    return replace(
        DEMO, trainers=parsed.trainers, rounds=parsed.rounds, attack=attack, malicious=malicious, suite_rows=rows
    )


def _prepare(parsed: argparse.Namespace) -> None:
    scenario, home = _build_scenario(parsed), parsed.home
    model = home / "model"
    if not model.exists():
        shutil.copytree(get_tiny_folder(), model)
    loaded = load_model(model)
    write_rows(home / "suite.jsonl", scenario.build_suite(parsed.seed))
    for trainer in range(scenario.trainers):
        folder = home / f"trainer-{trainer}"
        folder.mkdir(parents=True, exist_ok=True)
        write_rows(folder / "rows.jsonl", scenario.build_shard(parsed.seed, trainer))
    task = build_task(scenario, loaded, parsed.seed, parsed.validators)
    (home / "task.toml").write_bytes(encode_task_file(task))


def _measure(parsed: argparse.Namespace) -> None:
    """The undefended run has a process of its own, forked before this one touches gRPC; the rest is done here."""
    scenario = _build_scenario(parsed)
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("fork")) as other:
        running = other.submit(_rehearse_undefended, scenario, parsed.home / "model", parsed.seed)
        loaded = load_model(parsed.home / "model")
        certified = _fetch_aggregates(parsed.node, TaskId(parsed.task))
        defended = _measure_certified(scenario, loaded, parsed.seed, certified)
        _say(f"{len(defended)} certified models")
        rehearsal = Rehearsal(loaded, scenario, parsed.seed, _say)
        base, isolated = rehearsal.measure_base(), rehearsal.run_isolated()
        undefended = running.result()
    last, last_undefended = [base, *defended][-1], [base, *undefended][-1]
    best = max(isolated.values(), key=lambda measures: measures.accuracy, default=base)
    report = {
        "accuracy": last.accuracy,
        "attack_success_rate": last.attack_success_rate,
        "accuracy_undefended": last_undefended.accuracy,
        "attack_success_rate_undefended": last_undefended.attack_success_rate,
        "accuracy_isolated_best": best.accuracy,
        "base": asdict(base),
        "rounds": [asdict(measures) for measures in defended],
        "rounds_undefended": [asdict(measures) for measures in undefended],
        "isolated": {f"trainer-{trainer}": asdict(measures) for trainer, measures in isolated.items()},
    }
    (parsed.home / "model.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _rehearse_undefended(scenario: Scenario, model: Path, seed: int) -> list[Measures]:
    rehearsal = Rehearsal(load_model(model), scenario, seed, _say)
    return [item.measures for item in rehearsal.run_rule(FedAvg())]


def _say(step: str) -> None:
    """A line that the devnet shows while it waits."""
    print(f"progress: {step}", flush=True)


def _fetch_aggregates(nodes: Sequence[str], task: TaskId) -> tuple[bytes, ...]:
    """Every certified aggregate of the task, oldest first, each checked by its root."""
    with Client(*nodes) as client:
        return tuple(client.models.fetch_aggregate(step.entry) for step in client.models.get_lineage(task))


def _measure_certified(
    scenario: Scenario, loaded: LoadedModel, seed: int, certified: Sequence[bytes]
) -> list[Measures]:
    """The model after each certified round."""
    spec, test = scenario.build_spec(loaded, seed), scenario.build_test(seed)
    attack = scenario.get_measured_attack()
    is_stacked = spec.mode is AdapterMode.STACK
    lineages = [certified[: at + 1] if is_stacked else certified[at : at + 1] for at in range(len(certified))]
    return [measure_lineage(loaded, spec, lineage, test, attack) for lineage in lineages]


def _plot(parsed: argparse.Namespace) -> None:
    from flockchain_ml.experiments.plots import draw_plots

    report: dict[str, Any] = json.loads(parsed.report.read_text(encoding="utf-8"))
    draw_plots(report, parsed.to)


if __name__ == "__main__":
    raise SystemExit(main())
