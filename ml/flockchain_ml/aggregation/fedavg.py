"""Federated averaging: every update counts the same. The undefended baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome, aggregate_updates

__all__ = ["FedAvg"]


@dataclass(frozen=True, slots=True)
class FedAvg:
    """Accepts all updates (McMahan et al., 2017, with equal weights)."""

    name: ClassVar[str] = "fedavg"
    needs_scores: ClassVar[bool] = False

    def aggregate(self, round: RoundInput) -> RoundOutcome:
        accepted = tuple(range(len(round.updates)))
        return RoundOutcome(accepted, round.reputations, aggregate_updates(round.spec, round.lineage, round.updates))
