"""Whether an update points where the others point: its cosine with the sum of all other updates of the round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from flockchain_ml.probes.probe import PARTS, IntegerTensors

__all__ = ["Agreement"]

_SLICE_VALUES: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Agreement:
    """Between -1024 and 1024, truncated towards zero; 0 for an update that is all zeros or has no others."""

    name: ClassVar[str] = "agreement"

    def compute_statistics(self, updates: Sequence[IntegerTensors]) -> tuple[int, ...]:
        flat = [_flatten(update) for update in updates]
        if not flat:
            return ()
        total = np.sum(flat, axis=0, dtype=np.int64)
        return tuple(_compute_cosine(own, total - own) for own in flat)


def _flatten(update: IntegerTensors) -> NDArray[np.int64]:
    return np.concatenate([update[name].astype(np.int64).reshape(-1) for name in sorted(update)])


def _compute_cosine(left: NDArray[np.int64], right: NDArray[np.int64]) -> int:
    product = _compute_dot(left, right)
    scale = isqrt(_compute_dot(left, left) * _compute_dot(right, right))
    if scale == 0:
        return 0
    cosine = min(PARTS, PARTS * abs(product) // scale)
    return cosine if product >= 0 else -cosine


def _compute_dot(left: NDArray[np.int64], right: NDArray[np.int64]) -> int:
    """Exact. A sum of 128 int16 is at most 2**22, its square 2**44, so a slice's sum is at most 2**62."""
    total = 0
    for start in range(0, left.size, _SLICE_VALUES):
        part = slice(start, start + _SLICE_VALUES)
        total += int((left[part] * right[part]).sum())
    return total
