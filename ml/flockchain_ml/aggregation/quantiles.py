"""The weighted median, entry by entry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flockchain_ml.aggregation.products import Matrix
from flockchain_ml.aggregation.weighting import compute_shares

__all__ = ["compute_weighted_median"]


def compute_weighted_median(values: Matrix, weights: Sequence[float]) -> Matrix:
    """[n, ...] -> [...]: the middle of the lowest and the highest value with at most half of the weight on each side.

    With equal weights it is the ordinary median. Weights are taken as integer shares, so ties are exact.
    """
    order = np.argsort(values, axis=0, kind="stable")
    ranked = np.take_along_axis(values, order, axis=0)
    doubled = 2 * np.cumsum(np.array(compute_shares(weights), np.int64)[order], axis=0)
    total = doubled[-1:] // 2
    lower = np.take_along_axis(ranked, (doubled >= total).argmax(axis=0)[None], axis=0)[0]
    upper = np.take_along_axis(ranked, (doubled > total).argmax(axis=0)[None], axis=0)[0]
    return np.asarray((lower + upper) / 2)
