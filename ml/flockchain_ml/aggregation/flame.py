"""FLAME: the majority by direction is kept, clipped to the median norm, and a little noise hides what is left.

The majority is what HDBSCAN finds when a cluster must hold more than half of the points, one point is dense enough and
one cluster is allowed: with such a minimum no second cluster can exist, and its tree comes down to the first
single-linkage component that grows beyond half. So that is what is computed; points at equal distances join together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from flockchain_ml.aggregation.changes import build_change_outcome, decode_changes
from flockchain_ml.aggregation.products import Matrix, compute_cosines, compute_gram, decode_factors
from flockchain_ml.aggregation.quantiles import compute_weighted_median
from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome, RuleCard
from flockchain_ml.aggregation.weighting import build_mean_outcome, build_unmoved_outcome, find_present

__all__ = ["Flame", "find_majority"]


@dataclass(frozen=True, slots=True)
class Flame:
    """`noise`: its standard deviation over the clipping norm, for each entry (FFA: of ΔB). Seeded by the round."""

    name: ClassVar[str] = "flame"
    needs_scores: ClassVar[bool] = False
    card: ClassVar[RuleCard] = RuleCard(
        paper="Nguyen, Rieger, Chen et al.: FLAME: taming backdoors in federated learning (USENIX Security 2022)",
        weights="clusters take all present alike; the median norm and the mean of the majority are weighted",
    )

    noise: float = 0.001
    seed: int = 0

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        present = find_present(round)
        if not present:
            return build_unmoved_outcome(round), state
        updates = [round.updates[index] for index in present]
        weights = [round.get_weights()[index] for index in present]
        gram = compute_gram(round.spec, decode_factors(round.spec, updates))
        admitted = find_majority(1 - compute_cosines(gram))
        norms = np.sqrt(np.maximum(np.diag(gram), 0))
        clip = float(compute_weighted_median(norms, weights))
        scales = np.minimum(1, np.divide(clip, norms, out=np.ones_like(norms), where=norms > 0))
        if not self.noise:
            chosen = {present[at]: weights[at] for at in admitted}
            return build_mean_outcome(round, chosen, {present[at]: float(scales[at]) for at in admitted}), state
        changes = decode_changes(round.spec, updates)
        sizes = np.array([np.sqrt(sum(float((v**2).sum()) for v in change.values())) for change in changes])
        deviation = self.noise * float(compute_weighted_median(sizes, weights))
        total = sum(weights[at] for at in admitted)
        draw = np.random.default_rng([self.seed, round.number])
        moved = {}
        for module in round.spec.modules:
            mean = sum(changes[at][module.name] * (weights[at] * scales[at] / total) for at in admitted)
            moved[module.name] = mean + draw.normal(0, deviation, changes[0][module.name].shape)
        return build_change_outcome(round, [present[at] for at in admitted], moved), state


def find_majority(distances: Matrix) -> tuple[int, ...]:
    """The first group of more than half of the points that is joined by pairs in order of their distance, ascending."""
    count = len(distances)
    labels: NDArray[np.int64] = np.arange(count)
    pairs = sorted((float(distances[i, j]), i, j) for i in range(count) for j in range(i))
    for at, (distance, i, j) in enumerate(pairs):
        labels[labels == labels[i]] = labels[j]
        if at + 1 < len(pairs) and pairs[at + 1][0] == distance:
            continue
        sizes = np.bincount(labels, minlength=count)
        if 2 * sizes.max() > count:
            return tuple(np.flatnonzero(labels == sizes.argmax()).tolist())
    return tuple(range(count))
