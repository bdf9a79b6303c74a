"""What two updates change in a layer, as one exact integer: the inner product of their ΔW = B·A, or of their ΔB.

With A in the update (STACK) the product is all that an update adds to the model, for B starts at zero; so a factor
moved from B to A, permuted, negated or mixed ranks change nothing here. Without A (FFA) it is B: A is common, frozen.
No product is built: ⟨B_l·A_l, B_r·A_r⟩ = Σ (B_lᵀ·B_r) ∘ (A_l·A_rᵀ), of matrices of rank size.

It knows tensors and a module's name; not scales, not what the numbers mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flockchain.primitives.errors import invariant
from flockchain.primitives.limits import FEATURES_MAX

__all__ = ["compute_gram", "compute_inner_product"]

_SLICE_COLUMNS: Final = 1 << 11  # columns widened to int64 at a time: a rank of them stays in the processor's cache
_SLICE_VALUES: Final = 1 << 20

invariant(FEATURES_MAX * 2**30 < 2**63, "a sum of one int16 product a feature must fit int64")


def compute_inner_product(left: Mapping[str, NDArray[Any]], right: Mapping[str, NDArray[Any]], module: str) -> int:
    """⟨ΔW_l, ΔW_r⟩ of one module of two int16 updates with the same tensors; of their ΔB if they hold no A."""
    a, b = f"{module}.lora_A", f"{module}.lora_B"
    if a not in left:
        return _compute_dot(left[b], right[b])
    crossed = compute_gram(left[b].T, right[b].T).astype(object)  # two factors under 2**51 each: beyond int64
    return int((crossed * compute_gram(left[a], right[a]).astype(object)).sum())


def compute_gram(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.int64]:
    """left·rightᵀ of matrices of |values| <= 2**15 with as many columns, at most a layer's features.

    So |entry| <= 2**50.
    """
    total = np.zeros((left.shape[0], right.shape[0]), np.int64)
    for start in range(0, left.shape[1], _SLICE_COLUMNS):
        part = slice(start, start + _SLICE_COLUMNS)
        own, other = (np.ascontiguousarray(matrix[:, part], np.int64) for matrix in (left, right))
        total += np.einsum("ik,jk->ij", own, other)
    return total


def _compute_dot(left: NDArray[Any], right: NDArray[Any]) -> int:
    """Σ left·right: a slice's sum is at most 2**50, the whole is unbounded."""
    flat, other = left.reshape(-1), right.reshape(-1)
    total = 0
    for start in range(0, flat.size, _SLICE_VALUES):
        part = slice(start, start + _SLICE_VALUES)
        total += int((flat[part].astype(np.int64) * other[part]).sum(dtype=np.int64))
    return total
