"""Multi-Krum: the mean of the n - f updates that have the nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flockchain_ml.aggregation.krum import rank_by_neighbours
from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome, RuleCard, Told
from flockchain_ml.aggregation.weighting import build_mean_outcome, build_unmoved_outcome

__all__ = ["MultiKrum"]


@dataclass(frozen=True, slots=True)
class MultiKrum:
    """All are ranked once by Krum's score and as many are taken as are honest; at least one."""

    name: ClassVar[str] = "multi-krum"
    needs_scores: ClassVar[bool] = False
    card: ClassVar[RuleCard] = RuleCard(
        paper="Blanchard, El Mhamdi, Guerraoui, Stainer: Machine learning with adversaries: Byzantine tolerant "
        "gradient descent (NeurIPS 2017)",
        weights="in the scores as under Krum; then the weighted mean of the chosen",
        told=frozenset({Told.ATTACKERS}),
    )

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        ranked = rank_by_neighbours(round)
        if not ranked:
            return build_unmoved_outcome(round), state
        chosen = ranked[: max(1, len(ranked) - round.attackers)]
        weights = round.get_weights()
        return build_mean_outcome(round, {index: weights[index] for index in chosen}), state
