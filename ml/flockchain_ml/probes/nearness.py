"""How close an update comes to its nearest neighbour in the round: accomplices with the same poison are near."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import ClassVar

from flockchain.exact import compute_inner_product
from flockchain_ml.probes.probe import PARTS, IntegerTensors
from flockchain_ml.probes.products import list_modules

__all__ = ["Nearness"]


@dataclass(frozen=True, slots=True)
class Nearness:
    """The largest mean cosine over modules with another update, in parts of 1024; 0 for an update alone in its round.

    Every pair is compared: the cost grows with the square of the number of updates.
    """

    name: ClassVar[str] = "nearness"

    def compute_statistics(self, updates: Sequence[IntegerTensors]) -> tuple[int, ...]:
        if len(updates) < 2:
            return (0,) * len(updates)
        cosines = _compute_cosines(updates)
        return tuple(max(cosines[i][j] for j in range(len(updates)) if j != i) for i in range(len(updates)))


def _compute_cosines(updates: Sequence[IntegerTensors]) -> list[list[int]]:
    """Mean cosines of all pairs, symmetric; the mean is truncated towards zero."""
    count, modules = len(updates), list_modules(updates)
    sums = [[0] * count for _ in range(count)]
    for module in modules:
        squares = [compute_inner_product(update, update, module) for update in updates]
        for i in range(count):
            for j in range(i):
                product = compute_inner_product(updates[i], updates[j], module)
                sums[i][j] += _divide(product, squares[i] * squares[j])
    for i in range(count):
        for j in range(i):
            mean = abs(sums[i][j]) // max(1, len(modules))
            sums[i][j] = sums[j][i] = mean if sums[i][j] >= 0 else -mean
    return sums


def _divide(product: int, squares: int) -> int:
    scale = isqrt(squares)
    if scale == 0:
        return 0
    cosine = min(PARTS, PARTS * abs(product) // scale)
    return cosine if product >= 0 else -cosine
