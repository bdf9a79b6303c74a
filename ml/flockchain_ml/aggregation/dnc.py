"""Divide and conquer: what sticks out along the direction in which the updates differ most is removed.

Several times, on randomly drawn entries of ΔW: centre, take the top right singular vector, and mark the updates with
the largest squared projections. Those never marked are averaged; if all were, those marked least.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import ClassVar

import numpy as np

from flockchain_ml.aggregation.products import Matrix, count_entries, decode_factors, sample_entries
from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome, RuleCard, Told
from flockchain_ml.aggregation.weighting import build_mean_outcome, build_unmoved_outcome, find_present

__all__ = ["DivideAndConquer"]


@dataclass(frozen=True, slots=True)
class DivideAndConquer:
    """`filtered`: how many are removed per attacker. The draws follow from `seed` and the round's number."""

    name: ClassVar[str] = "dnc"
    needs_scores: ClassVar[bool] = False
    card: ClassVar[RuleCard] = RuleCard(
        paper="Shejwalkar, Houmansadr: Manipulating the Byzantine: optimizing model poisoning attacks and defenses for "
        "federated learning (NDSS 2021)",
        weights="the centre and the covariance are weighted, and so is the mean of those that are left",
        told=frozenset({Told.ATTACKERS}),
    )

    iterations: int = 5
    entries: int = 10_000
    filtered: float = 1.0
    seed: int = 0

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        present = find_present(round)
        if not present:
            return build_unmoved_outcome(round), state
        factors = decode_factors(round.spec, [round.updates[index] for index in present])
        weights = np.array([round.get_weights()[index] for index in present])
        size = count_entries(round.spec)
        marks = np.zeros(len(present), np.int64)
        for iteration in range(self.iterations):
            draw = np.random.default_rng([self.seed, round.number, iteration])
            positions = np.sort(draw.choice(size, min(self.entries, size), replace=False))
            scores = _compute_outlier_scores(sample_entries(round.spec, factors, positions), weights)
            removed = min(ceil(self.filtered * round.attackers), len(present) - 1)
            marks[np.argsort(-scores, kind="stable")[:removed]] += 1
        chosen = [index for index, count in zip(present, marks, strict=True) if count == marks.min()]
        return build_mean_outcome(round, {index: round.get_weights()[index] for index in chosen}), state


def _compute_outlier_scores(values: Matrix, weights: Matrix) -> Matrix:
    """[n] squared projections on the weighted first principal direction, by the n x n Gram matrix."""
    centred = values - np.average(values, axis=0, weights=weights)
    roots = np.sqrt(weights / weights.sum())
    weighted = centred * roots[:, None]
    _, vectors = np.linalg.eigh(weighted @ weighted.T)
    direction = weighted.T @ vectors[:, -1]
    length = float(np.linalg.norm(direction))
    return np.asarray((centred @ (direction / length)) ** 2) if length > 0 else np.zeros(len(values))
