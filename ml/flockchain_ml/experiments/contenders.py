"""Who competes in the experiments: an aggregation rule, with or without a defence that weighs its updates.

A new contender is one line in `CONTENDERS`. Knows rules and defences; no scenario, no training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from flockchain_ml.aggregation import (
    RULES,
    AggregationRule,
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedYogi,
)
from flockchain_ml.defences import DEFENCES, AsksShadows, Defence, Reading
from flockchain_ml.evaluation import TriggerSearch
from flockchain_ml.experiments.scenario import DEMO

__all__ = ["CONTENDERS", "SERVER_RATES", "Contender"]

# The steps of the servers' optimisers; `python -m flockchain_ml.experiments.tuning --out DIR` compares them to others.
SERVER_RATES: Final[Mapping[str, float]] = {
    FedAvgM.name: 1.0,
    FedAdagrad.name: 1e-2,
    FedYogi.name: 1e-2,
    FedAdam.name: 1e-2,
}

# A trigger's penalty is far beyond this floor, so that honest specialists need not pay for those whom it finds.
_OURS_RULE: Final = replace(DEMO.rule, reputation_floor=-50_000)

# Fields of `EvaluateOrder` beside the round itself.
_OURS_EVALUATION: Final[Mapping[str, Any]] = {"search": TriggerSearch()}


@dataclass(frozen=True, slots=True)
class Contender:
    """`evaluation`: fields of the `EvaluateOrder` behind the votes, besides the round itself."""

    name: str
    rule: AggregationRule
    defence: Defence[Any] | None = None
    evaluation: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reads(self) -> frozenset[Reading]:
        """What its defence looks at."""
        return self.defence.reads if self.defence is not None else frozenset()

    @property
    def needs_votes(self) -> bool:
        """Whether the committee's scores of the updates are computed for it."""
        return self.rule.needs_scores or Reading.VOTE in self.reads

    @property
    def has_step_scores(self) -> bool:
        """Whether trainers report a score of every step."""
        return Reading.STEP_SCORES in self.reads

    def is_shadow_due(self, memory: Any, trainer: bytes) -> bool:
        """Whether its defence wants a shadow training of this trainer in the round after `memory`."""
        return isinstance(self.defence, AsksShadows) and self.defence.is_shadow_due(memory, trainer)

    @property
    def probe_kinds(self) -> tuple[str, ...]:
        """The logistic probes that a rehearsal with it needs: step, shadow."""
        kinds = {Reading.STEP_SCORES: "step", Reading.UPLOAD_SCORE: "step", Reading.SHADOW_SCORES: "shadow"}
        return tuple(sorted({kinds[reading] for reading in self.reads if reading in kinds}, reverse=True))


def _tune(rule: Any) -> AggregationRule:
    tuned: AggregationRule = replace(rule, server_rate=SERVER_RATES[rule.name])
    return tuned


def _iterate_contenders() -> Iterable[Contender]:
    for name in ("fedavg", "fedprox", "scaffold"):
        yield Contender(name, RULES[name])
    for name in SERVER_RATES:
        yield Contender(name, _tune(RULES[name]))
    for name in (
        "median", "trimmed-mean", "krum", "multi-krum", "geometric-median", "foolsgold", "residual", "dnc", "flame",
        "lasa",
    ):  # fmt: skip
        yield Contender(name, RULES[name])
    for name in ("safe-step", "safe-client", "safe-client-upload", "safe-shadow", "safe-evidence", "integer-probe"):
        yield Contender(f"{FedAvg.name}+{name}", FedAvg(), DEFENCES[name])
    yield Contender("accumulated", DEMO.rule)
    yield Contender("ours", _OURS_RULE, evaluation=_OURS_EVALUATION)


CONTENDERS: Final[Mapping[str, Contender]] = {contender.name: contender for contender in _iterate_contenders()}
