"""The geometric median: the change with the least total distance to the updates, by Weiszfeld's iteration.

The iteration lives in the span of the updates: a point is their mixture, and its distances follow from their Gram
matrix. So the result is a weighted mean of updates, and no product is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from flockchain_ml.aggregation.products import Matrix, compute_gram, decode_factors
from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome, RuleCard
from flockchain_ml.aggregation.weighting import build_mean_outcome, build_unmoved_outcome, find_present

__all__ = ["GeometricMedian"]


@dataclass(frozen=True, slots=True)
class GeometricMedian:
    """Holds while honest updates have over half of the weight.

    `smoothing`: a distance counts as at least this share of the first mean distance.
    """

    name: ClassVar[str] = "geometric-median"
    needs_scores: ClassVar[bool] = False
    card: ClassVar[RuleCard] = RuleCard(
        paper="Pillutla, Kakade, Harchaoui: Robust aggregation for federated learning (IEEE Transactions on Signal "
        "Processing 2022), smoothed Weiszfeld",
        weights="each distance in the sum that is minimised counts by its update's weight",
    )

    iterations: int = 1000
    smoothing: float = 1e-6
    tolerance: float = 1e-10

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        present = find_present(round)
        if not present:
            return build_unmoved_outcome(round), state
        factors = decode_factors(round.spec, [round.updates[index] for index in present])
        weights = np.array([round.get_weights()[index] for index in present])
        mixture = self._compute_mixture(compute_gram(round.spec, factors), weights / weights.sum())
        return build_mean_outcome(round, dict(zip(present, mixture.tolist(), strict=True))), state

    def _compute_mixture(self, gram: Matrix, weights: Matrix) -> Matrix:
        mixture = weights
        distances = _compute_distances(gram, mixture)
        least = self.smoothing * float(distances.mean())
        if least == 0:
            return weights
        for _ in range(self.iterations):
            pulls = weights / np.maximum(distances, least)
            moved = pulls / pulls.sum()
            change = float(np.abs(moved - mixture).max())
            mixture, distances = moved, _compute_distances(gram, moved)
            if change < self.tolerance:
                break
        return mixture


def _compute_distances(gram: Matrix, mixture: Matrix) -> Matrix:
    """[n] distances of the updates from their mixture."""
    products = gram @ mixture
    return np.sqrt(np.maximum(mixture @ products - 2 * products + np.diag(gram), 0))
