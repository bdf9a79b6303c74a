"""Residual-based reweighting: a robust line through the sorted values of each entry; what is far from it counts less.

For the n values of an entry and their ranks, the repeated-median line gives residuals e in units of
tau = 1.4826·(1 + 5/(n-1))·median|residual|; a value's confidence is min(1, lambda·√(2/n)·√(1-h)/|e|), h its leverage. A
value with confidence under `threshold` is put on the line. A trainer's weight is the square of the sum of its
confidences, each times the spread of its entry's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from flockchain_ml.aggregation.changes import build_change_outcome, decode_changes, stack_changes
from flockchain_ml.aggregation.products import Matrix
from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome, RuleCard
from flockchain_ml.aggregation.weighting import build_mean_outcome, build_unmoved_outcome, find_present

__all__ = ["Residual"]

_SLICE_ENTRIES: Final = 4096
_TAU_LEAST: Final = 1e-7


@dataclass(frozen=True, slots=True)
class Residual:
    """One pass of iteratively reweighted least squares. Under three updates have no line: their weighted mean."""

    name: ClassVar[str] = "residual"
    needs_scores: ClassVar[bool] = False
    card: ClassVar[RuleCard] = RuleCard(
        paper="Fu, Xie, Li, Chen: Attack-resistant federated learning with residual-based reweighting "
        "(arXiv 1912.11464, 2019)",
        weights="confidence times weight is the update's share of the mean; the lines take all present alike",
    )

    strictness: float = 2.0  # the paper's lambda
    threshold: float = 0.05

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        present = find_present(round)
        if not present:
            return build_unmoved_outcome(round), state
        weights = np.array([round.get_weights()[index] for index in present])
        if len(present) < 3:
            return build_mean_outcome(round, dict(zip(present, weights.tolist(), strict=True))), state
        changes = decode_changes(round.spec, [round.updates[index] for index in present])
        total, kept = np.zeros(len(present)), {}
        for module in round.spec.modules:
            values = stack_changes(changes, module.name)
            flat = values.reshape(len(present), -1).T
            parts = [self._restrict(flat[at : at + _SLICE_ENTRIES]) for at in range(0, len(flat), _SLICE_ENTRIES)]
            total += sum(confidence for confidence, _ in parts)
            kept[module.name] = np.concatenate([part for _, part in parts]).T.reshape(values.shape)
        trust = (total / total.max()) ** 2 if total.max() > 0 else np.ones(len(present))
        shares = trust * weights / (trust * weights).sum()
        moved = {name: np.tensordot(shares, values, axes=1) for name, values in kept.items()}
        return build_change_outcome(round, present, moved), state

    def _restrict(self, values: Matrix) -> tuple[Matrix, Matrix]:
        """[entries, n] -> trainers' confidences summed over the entries, and the values with outliers on the line."""
        count = values.shape[1]
        ranks = np.argsort(np.argsort(values, axis=1, kind="stable"), axis=1, kind="stable").astype(np.float64)
        line = _fit_line(np.sort(values, axis=1), ranks)
        residuals = values - line
        spread = np.median(np.sort(np.abs(residuals), axis=1)[:, 1:], axis=1, keepdims=True)
        errors = residuals / (1.4826 * (1 + 5 / (count - 1)) * spread + _TAU_LEAST)
        leverage = 1 / count + (ranks - (count - 1) / 2) ** 2 / (count * (count**2 - 1) / 12)
        bound = self.strictness * np.sqrt(2 / count) * np.sqrt(np.maximum(1 - leverage, 0))
        confidence = np.minimum(1, bound / np.maximum(np.abs(errors), 1e-300))
        restricted = np.where(confidence >= self.threshold, values, line)
        return (confidence * confidence.std(axis=1, ddof=1, keepdims=True)).sum(axis=0), restricted


def _fit_line(ranked: Matrix, ranks: Matrix) -> Matrix:
    """The repeated-median line through (rank, value), at every value's rank. Shapes [entries, n]."""
    count = ranked.shape[1]
    steps = np.arange(count)
    others = np.array([[j for j in range(count) if j != i] for i in range(count)])
    slopes = (ranked[:, :, None] - ranked[:, others]) / (steps[:, None] - others)
    slope = np.median(np.median(slopes, axis=2), axis=1, keepdims=True)
    return np.asarray(np.median(ranked, axis=1, keepdims=True) + slope * (ranks - (count - 1) / 2))
