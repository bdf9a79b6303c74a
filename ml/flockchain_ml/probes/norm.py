"""How large an update is beside its round: the worst module's norm over the round's median norm of that module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import ClassVar

import numpy as np

from flockchain_ml.probes.probe import PARTS, IntegerTensors

__all__ = ["RelativeNorm"]


@dataclass(frozen=True, slots=True)
class RelativeNorm:
    """1024 for an update whose every tensor has at most the round's (lower) median norm."""

    name: ClassVar[str] = "relative-norm"

    def compute_statistics(self, updates: Sequence[IntegerTensors]) -> tuple[int, ...]:
        if not updates:
            return ()
        largest = [PARTS] * len(updates)
        for tensor in sorted(updates[0]):
            norms = [isqrt(_compute_squared_norm(update, tensor)) for update in updates]
            median = sorted(norms)[(len(norms) - 1) // 2]
            largest = [max(best, PARTS * norm // max(1, median)) for best, norm in zip(largest, norms, strict=True)]
        return tuple(largest)


def _compute_squared_norm(update: IntegerTensors, tensor: str) -> int:
    """Exact: an int16 squared is at most 2**30, so int64 holds any tensor of up to 2**33 values."""
    values = update[tensor].astype(np.int64)
    return int((values * values).sum())
