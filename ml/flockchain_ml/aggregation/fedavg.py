"""Federated averaging: every update counts by its rows and its weight. The undefended baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome, RuleCard, Told
from flockchain_ml.aggregation.weighting import build_mean_outcome

__all__ = ["FedAvg"]


@dataclass(frozen=True, slots=True)
class FedAvg:
    """The weighted mean of all updates, exact."""

    name: ClassVar[str] = "fedavg"
    needs_scores: ClassVar[bool] = False
    card: ClassVar[RuleCard] = RuleCard(
        paper="McMahan, Moore, Ramage, Hampson, Agüera y Arcas: Communication-efficient learning of deep networks from "
        "decentralized data (AISTATS 2017)",
        weights="weight times rows is the update's share of the mean",
        told=frozenset({Told.SAMPLES}),
        is_exact=True,
    )

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        return build_mean_outcome(round, dict(enumerate(round.get_sample_weights()))), state
