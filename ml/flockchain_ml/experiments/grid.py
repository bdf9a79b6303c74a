"""Which experiments there are, and the cells that a choice of seeds, rules, attacks and shares makes of one.

A new experiment is a file and a line in `EXPERIMENTS`. Knows no process and no result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from flockchain.primitives.errors import InvalidInput
from flockchain_ml.attacks import ATTACKS
from flockchain_ml.experiments.adaptive import ADAPTIVE
from flockchain_ml.experiments.aggregation import AGGREGATION
from flockchain_ml.experiments.cell import NO_ATTACK, Cell
from flockchain_ml.experiments.cost import COST
from flockchain_ml.experiments.cross_domain import CROSS_DOMAIN
from flockchain_ml.experiments.determinism import DETERMINISM
from flockchain_ml.experiments.experiment import Experiment
from flockchain_ml.experiments.flock import FLOCK
from flockchain_ml.experiments.probe import PROBE
from flockchain_ml.experiments.safe_fedllm import SAFE_FEDLLM
from flockchain_ml.experiments.scenario import DEMO, Scenario
from flockchain_ml.experiments.validators import VALIDATORS
from flockchain_ml.trainer import TrainSettings

__all__ = [
    "EXPERIMENTS", "FIRST_SEED", "FULL", "QUICK", "AxisUnknown", "Choice", "build_cells", "build_scenario",
    "find_experiment",
]  # fmt: skip

EXPERIMENTS: Final[Mapping[str, Experiment]] = {
    experiment.name: experiment
    for experiment in (
        FLOCK,
        CROSS_DOMAIN,
        AGGREGATION,
        COST,
        DETERMINISM,
        VALIDATORS,
        SAFE_FEDLLM,
        PROBE,
        ADAPTIVE,
    )
}

FIRST_SEED: Final = 101  # no setting was chosen on a seed from here on
FULL: Final = replace(DEMO, trainers=10, malicious=0)
# Seconds instead of hours: shows that everything runs. Its figures say nothing.
QUICK: Final = replace(
    FULL,
    rows_per_trainer=24,
    prompts_per_round=24,
    suite_rows=240,
    test_rows=24,
    rank=4,
    alpha=8,
    targets=("q_proj", "v_proj"),
    training=TrainSettings(steps=2, batch_rows=4, learning_rate=6e-3),
)


class AxisUnknown(InvalidInput):
    """There is no such experiment, rule, attack or share."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What to run. None: the experiment's own."""

    seeds: tuple[int, ...]
    rules: tuple[str, ...] | None = None
    attacks: tuple[str, ...] | None = None
    ratios: tuple[int, ...] | None = None
    rounds: int | None = None
    is_quick: bool = False


def find_experiment(name: str) -> Experiment:
    """Raises `AxisUnknown`."""
    if name not in EXPERIMENTS:
        raise AxisUnknown("there is no such experiment", experiment=name, known=", ".join(EXPERIMENTS))
    return EXPERIMENTS[name]


def build_cells(experiment: Experiment, choice: Choice) -> tuple[Cell, ...]:
    """All cells, seed by seed, so that an unfinished grid has whole seeds. Raises `AxisUnknown`."""
    rules = _require_known("rule", choice.rules or experiment.rules, experiment.get_known())
    attacks = _require_known("attack", choice.attacks or experiment.attacks, tuple(ATTACKS))
    ratios = choice.ratios if choice.ratios is not None else experiment.ratios
    rounds = choice.rounds or (1 if choice.is_quick else experiment.rounds)
    found: dict[str, Cell] = {}
    for seed in choice.seeds:
        for ratio in ratios:
            for attack in attacks:
                named = attack if ratio or _shapes_task(attack) else NO_ATTACK
                scenario = build_scenario(named, ratio, rounds, is_quick=choice.is_quick)
                for cell in _iterate_rules(experiment.name, rules, named, ratio, seed, scenario):
                    found.setdefault(cell.name, cell)
    return tuple(found.values())


def build_scenario(attack: str, percent: int, rounds: int, *, is_quick: bool = False) -> Scenario:
    """The experiments' scenario with this share of attackers. Raises `AxisUnknown` for parts of a trainer."""
    start = QUICK if is_quick else FULL
    malicious, rest = divmod(start.trainers * percent, 100)
    if rest or not 0 <= percent < 100:
        raise AxisUnknown("a share of whole trainers attacks", percent=percent, trainers=start.trainers)
    return replace(
        start,
        attack=start.attack if attack == NO_ATTACK else attack,
        malicious=malicious,
        rounds=rounds,
        suite_rows=max(start.suite_rows, rounds * start.prompts_per_round),
        keeps_holders=False,
    )


def _iterate_rules(
    experiment: str, rules: Sequence[str], attack: str, ratio: int, seed: int, scenario: Scenario
) -> Iterator[Cell]:
    return (Cell(experiment, rule, attack, ratio, seed, scenario) for rule in rules)


def _shapes_task(attack: str) -> bool:
    """Whether an attack changes rows or domains although nobody attacks: then it has an unattacked cell of its own."""
    return ATTACKS[attack].holding.planted is not None or bool(ATTACKS[attack].domains)


def _require_known(what: str, names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise AxisUnknown(f"there is no such {what}", got=", ".join(unknown), known=", ".join(known))
    return tuple(names)
