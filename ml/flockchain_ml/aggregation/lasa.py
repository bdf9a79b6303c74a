"""LASA: small entries are dropped, and each layer is averaged over the updates that look normal in it.

Updates are clipped to the median norm and lose the share `sparsity` of their entries, the smallest. In each layer, an
update's norm and its share of positive signs must lie within `norm_bound` and `sign_bound` standard deviations of the
median; if nobody's do, all count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from flockchain_ml.aggregation.changes import Change, build_change_outcome, decode_changes, stack_changes
from flockchain_ml.aggregation.products import Matrix, compute_norms, decode_factors
from flockchain_ml.aggregation.quantiles import compute_weighted_median
from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome, RuleCard
from flockchain_ml.aggregation.weighting import build_unmoved_outcome, find_present

__all__ = ["Lasa"]


@dataclass(frozen=True, slots=True)
class Lasa:
    """A layer is one adapted module: the entries of its ΔB (FFA) or ΔW (STACK)."""

    name: ClassVar[str] = "lasa"
    needs_scores: ClassVar[bool] = False
    card: ClassVar[RuleCard] = RuleCard(
        paper="Xu, Zhang, Hu: Achieving Byzantine-resilient federated learning via layer-adaptive sparsified model "
        "aggregation (WACV 2025)",
        weights="medians, standard deviations and each layer's mean are weighted",
    )

    sparsity: float = 0.3
    norm_bound: float = 1.0
    sign_bound: float = 1.0

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        present = find_present(round)
        if not present:
            return build_unmoved_outcome(round), state
        updates = [round.updates[index] for index in present]
        weights = np.array([round.get_weights()[index] for index in present])
        norms = compute_norms(round.spec, decode_factors(round.spec, updates))
        clip = compute_weighted_median(norms, weights.tolist())
        scales = np.minimum(1, np.divide(clip, norms, out=np.ones_like(norms), where=norms > 0))
        changes = [
            _sparsify(change, self.sparsity, float(scale))
            for change, scale in zip(decode_changes(round.spec, updates), scales, strict=True)
        ]
        moved, used = {}, np.zeros(len(present), bool)
        for module in round.spec.modules:
            values = stack_changes(changes, module.name)
            benign = self._find_benign(values, weights)
            used |= benign
            moved[module.name] = np.average(values[benign], axis=0, weights=weights[benign])
        return build_change_outcome(round, [present[at] for at in np.flatnonzero(used)], moved), state

    def _find_benign(self, values: Matrix, weights: Matrix) -> NDArray[np.bool_]:
        """[n, out, columns] of one layer -> [n]."""
        flat = values.reshape(len(values), -1)
        signs, filled = np.sign(flat).sum(axis=1), np.count_nonzero(flat, axis=1)
        purity = 0.5 * (1 + signs / np.maximum(filled, 1))
        is_normal = _compute_deviations(np.linalg.norm(flat, axis=1), weights.tolist()) < self.norm_bound
        is_balanced = _compute_deviations(purity, weights.tolist()) < self.sign_bound
        benign = is_normal & is_balanced
        return benign if benign.any() else np.ones(len(values), bool)


def _sparsify(change: Change, sparsity: float, scale: float) -> Change:
    """The largest entries of the whole update, scaled; the others are 0. Entries as large as the least kept stay."""
    sizes = np.concatenate([np.abs(values).ravel() for values in change.values()])
    dropped = sizes.size - int(sizes.size * (1 - sparsity))
    least = float(np.partition(sizes, dropped)[dropped]) if dropped < sizes.size else np.inf
    return {name: np.where(np.abs(values) >= least, values * scale, 0.0) for name, values in change.items()}


def _compute_deviations(values: Matrix, weights: Sequence[float]) -> Matrix:
    """[n] distances from the median in standard deviations; 0 where all are equal."""
    mean = np.average(values, weights=weights)
    deviation = float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))
    distances = np.abs(values - compute_weighted_median(values, weights))
    return np.asarray(distances / deviation) if deviation > 0 else np.zeros_like(values)
