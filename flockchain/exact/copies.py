"""Copies and near copies among a round's updates, by integers (PROTOCOL §4, exact tier).

Update j is a near copy of an earlier update i when 64·‖x_j − x_i‖² <= ‖x_i‖² + ‖x_j‖² over all their int16 values: they
differ by at most about a tenth of their length in root mean square. Trainers with data of their own are far from that.
It knows tensors in the round's order; not who sent them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flockchain.exact.adapter_file import Tensors

__all__ = ["NEAR_COPY_RATIO", "compute_copied_index"]

NEAR_COPY_RATIO = 64
_BLOCK_VALUES = 1 << 20  # int64 work is done on slices of 8 MiB


def compute_copied_index(earlier: Sequence[Tensors], update: Tensors) -> int | None:
    """The index in `earlier` of the first update that `update` is a copy or a near copy of, or None."""
    own = _compute_squared_norm(update)
    for index, other in enumerate(earlier):
        distance = sum(_compute_squared_distance(update[name], other[name]) for name in update)
        if NEAR_COPY_RATIO * distance <= own + _compute_squared_norm(other):
            return index
    return None


def _compute_squared_norm(tensors: Tensors) -> int:
    return sum(_compute_squared_distance(tensor, None) for tensor in tensors.values())


def _compute_squared_distance(left: NDArray[Any], right: NDArray[Any] | None) -> int:
    """Σ (left − right)²: a slice's squares are at most 2**32 each, so 2**20 of them fit int64; the sum is unbounded."""
    total = 0
    flat, other = left.reshape(-1), None if right is None else right.reshape(-1)
    for start in range(0, flat.size, _BLOCK_VALUES):
        piece = flat[start : start + _BLOCK_VALUES].astype(np.int64)
        if other is not None:
            piece -= other[start : start + _BLOCK_VALUES]
        total += int((piece * piece).sum())
    return total
