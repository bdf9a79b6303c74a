"""Krum: the one update that has the nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from flockchain_ml.aggregation.products import Matrix, compute_gram, compute_squared_distances, decode_factors
from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome, RuleCard, Told
from flockchain_ml.aggregation.weighting import build_mean_outcome, build_unmoved_outcome, find_present

__all__ = ["Krum", "rank_by_neighbours"]


@dataclass(frozen=True, slots=True)
class Krum:
    """The paper's promise needs n >= 2f + 3; with fewer updates one neighbour is always counted."""

    name: ClassVar[str] = "krum"
    needs_scores: ClassVar[bool] = False
    card: ClassVar[RuleCard] = RuleCard(
        paper="Blanchard, El Mhamdi, Guerraoui, Stainer: Machine learning with adversaries: Byzantine tolerant "
        "gradient descent (NeurIPS 2017)",
        weights="a neighbour's distance counts by its weight, and an update's own score is divided by its weight",
        told=frozenset({Told.ATTACKERS}),
    )

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        ranked = rank_by_neighbours(round)
        if not ranked:
            return build_unmoved_outcome(round), state
        return build_mean_outcome(round, {ranked[0]: 1.0}), state


def rank_by_neighbours(round: RoundInput) -> tuple[int, ...]:
    """Positions of the present updates, best first: by the weighted mean of the squared distances to the nearest
    n - f - 2 others, over the own weight. Distances are those of the products."""
    present = find_present(round)
    if len(present) < 2:
        return present
    weights = np.array([round.get_weights()[index] for index in present])
    factors = decode_factors(round.spec, [round.updates[index] for index in present])
    distances = compute_squared_distances(compute_gram(round.spec, factors))
    neighbours = max(1, len(present) - min(round.attackers, len(present)) - 2)
    scores = [_compute_score(distances, weights, at, neighbours) for at in range(len(present))]
    return _sort(present, scores)


def _compute_score(distances: Matrix, weights: Matrix, at: int, neighbours: int) -> float:
    others = [other for other in np.argsort(distances[at], kind="stable") if other != at][:neighbours]
    return float(np.average(distances[at][others], weights=weights[others]) / weights[at])


def _sort(positions: Sequence[int], scores: Sequence[float]) -> tuple[int, ...]:
    return tuple(positions[at] for at in sorted(range(len(positions)), key=lambda at: (scores[at], at)))
