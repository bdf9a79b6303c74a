"""What an update changes in a layer, in exact integers: norms, traces and inner products of its matrix B or B·A.

With A in the update (STACK) everything is said of the product B·A, so that moving a factor from B to A hides nothing;
without (FFA) of B, since A is common. Only Gram matrices of rank size are ever multiplied: no product is built.

Bounds: an int16 product is at most 2**30 and a layer has under 2**32 rows, so a Gram entry fits int64; whatever is
multiplied after that is a Python integer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flockchain_ml.probes.probe import IntegerTensors

__all__ = ["compute_inner_product", "compute_squared_norm", "compute_traces", "list_modules"]

_A: Final = ".lora_A"
_B: Final = ".lora_B"
_SLICE_ROWS: Final = 1 << 14  # rows widened to int64 at a time

Matrix = NDArray[Any]


def list_modules(updates: Sequence[IntegerTensors]) -> tuple[str, ...]:
    """The adapted modules, ascending; those of the first update, for a round's updates have the same ones."""
    return tuple(sorted(name.removesuffix(_B) for name in updates[0] if name.endswith(_B))) if updates else ()


def compute_squared_norm(update: IntegerTensors, module: str) -> int:
    """The square of the Frobenius norm."""
    return compute_inner_product(update, update, module)


def compute_inner_product(left: IntegerTensors, right: IntegerTensors, module: str) -> int:
    """⟨B_l·A_l, B_r·A_r⟩ = Σ (B_lᵀB_r ∘ A_l·A_rᵀ); without A, ⟨B_l, B_r⟩."""
    a, b = module + _A, module + _B
    if a not in left:
        return _compute_dot(left[b], right[b])
    crossed = _multiply(left[b], right[b])
    return int((crossed.astype(object) * _multiply(left[a].T, right[a].T).astype(object)).sum())


def compute_traces(update: IntegerTensors, module: str) -> tuple[int, int]:
    """(tr G, tr G²) for G = (BA)ᵀBA, or BᵀB: the sums of its singular values' second and fourth powers."""
    a, b = module + _A, module + _B
    gram = _multiply(update[b], update[b]).astype(object)
    if a in update:
        gram = gram @ _multiply(update[a].T, update[a].T).astype(object)
    return int(gram.trace()), int((gram * gram.T).sum())


def _multiply(left: Matrix, right: Matrix) -> NDArray[np.int64]:
    """leftᵀ·right of two matrices with as many rows: exact in int64 (see above)."""
    total = np.zeros((left.shape[1], right.shape[1]), np.int64)
    for start in range(0, left.shape[0], _SLICE_ROWS):
        part = slice(start, start + _SLICE_ROWS)
        total += left[part].astype(np.int64).T @ right[part].astype(np.int64)
    return total


def _compute_dot(left: Matrix, right: Matrix) -> int:
    total = 0
    for start in range(0, left.shape[0], _SLICE_ROWS):
        part = slice(start, start + _SLICE_ROWS)
        total += int((left[part].astype(np.int64) * right[part]).sum(dtype=np.int64))
    return total
