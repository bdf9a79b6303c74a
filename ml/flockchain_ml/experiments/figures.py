"""What the rounds of a run say, as the fields that every cell has; and a rule that remembers the rounds it saw.

Knows how a rehearsal describes its rounds; not which experiment asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.aggregation import AggregationRule, ClientHook, RoundInput, RoundOutcome, RuleCard, build_client_hook
from flockchain_ml.attacks import Success
from flockchain_ml.evaluation import Measures
from flockchain_ml.experiments.rehearsal import RehearsedRound
from flockchain_ml.experiments.scenario import Scenario

__all__ = ["Watched", "compute_figures", "compute_honest_rejected"]


def compute_figures(scenario: Scenario, rounds: Sequence[RehearsedRound]) -> dict[str, Any]:
    """The fields of a cell. `attack_success_rate` is None where nothing attacks or success is lost accuracy."""
    attack = scenario.get_measured_attack()
    is_measured = attack is not None and attack.success is not Success.UNTARGETED

    def get_success(measures: Measures) -> float | None:
        return measures.attack_success_rate if is_measured else None

    last = rounds[-1].measures
    return {
        "accuracy": last.accuracy,
        "attack_success_rate": get_success(last),
        "honest_rejected": compute_honest_rejected(scenario, [item.accepted for item in rounds]),
        "accuracy_by_domain": dict(last.accuracy_by_domain),
        "malicious_accepted": _count_accepted(scenario, rounds),
        "rounds": [
            {
                "accuracy": item.measures.accuracy,
                "attack_success_rate": get_success(item.measures),
                "accepted": list(item.accepted),
                "scores": list(item.scores),
                "reputations": list(item.reputations),
            }
            for item in rounds
        ],
    }


def compute_honest_rejected(scenario: Scenario, accepted: Sequence[Sequence[int]]) -> float:
    """The share of honest updates that were not accepted, over all rounds."""
    honest = [trainer for trainer in range(scenario.trainers) if not scenario.is_malicious(trainer)]
    rejected = sum(trainer not in chosen for chosen in accepted for trainer in honest)
    return rejected / (len(honest) * len(accepted)) if honest and accepted else 0.0


def _count_accepted(scenario: Scenario, rounds: Sequence[RehearsedRound]) -> int:
    return sum(scenario.is_malicious(trainer) for item in rounds for trainer in item.accepted)


@dataclass(slots=True)
class Watched:
    """A rule that does what `rule` does and keeps each round with its outcome."""

    rule: AggregationRule
    seen: list[tuple[RoundInput, RoundOutcome]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.rule.name

    @property
    def needs_scores(self) -> bool:
        return self.rule.needs_scores

    @property
    def card(self) -> RuleCard:
        return self.rule.card

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        outcome, after = self.rule.aggregate(round, state)
        self.seen.append((round, outcome))
        return outcome, after

    def build_client_hook(self, spec: AdapterSpec, trainer: str, state: bytes) -> ClientHook:
        """What the rule asks of trainers; nothing if it never asks."""
        return build_client_hook(self.rule, spec, trainer, state)
