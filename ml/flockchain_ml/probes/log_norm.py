"""How large an update's modules are beside the round's median, on a logarithmic scale, in exact integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from flockchain.primitives.errors import invariant
from flockchain_ml.probes.probe import PARTS, IntegerTensors
from flockchain_ml.probes.products import compute_squared_norm, list_modules

__all__ = ["LogNorm", "Over", "compute_log2"]

_DIGITS: Final = PARTS.bit_length() - 1
_MANTISSA_BITS: Final = 64


class Over(StrEnum):
    """Which of the modules' values an update answers with."""

    HIGHEST = "highest"
    LOWEST = "lowest"
    MEAN = "mean"


@dataclass(frozen=True, slots=True)
class LogNorm:
    """PARTS · log2(norm / the round's lower median norm of that module): 1024 is twice the median, 0 the median."""

    over: Over

    @property
    def name(self) -> str:
        return f"log-norm-{self.over.value}"

    def compute_statistics(self, updates: Sequence[IntegerTensors]) -> tuple[int, ...]:
        columns = []
        for module in list_modules(updates):
            logs = [compute_log2(max(1, compute_squared_norm(update, module))) for update in updates]
            median = sorted(logs)[(len(logs) - 1) // 2]
            columns.append([(log - median) // 2 for log in logs])
        return tuple(_REDUCTIONS[self.over](row) for row in zip(*columns, strict=True))


def compute_log2(value: int) -> int:
    """PARTS · log2(value), truncated, of a positive integer: ten binary digits behind the point by squaring."""
    invariant(value > 0, "a logarithm is of a positive integer", value=value)
    exponent = value.bit_length() - 1
    mantissa = (value << _MANTISSA_BITS) >> exponent  # between 1 and 2, with so many binary digits
    digits = 0
    for _ in range(_DIGITS):
        mantissa = (mantissa * mantissa) >> _MANTISSA_BITS
        carry = mantissa >> (_MANTISSA_BITS + 1)
        mantissa >>= carry
        digits = 2 * digits + carry
    return PARTS * exponent + digits


def _compute_mean(values: Sequence[int]) -> int:
    return sum(values) // len(values)


_REDUCTIONS: Final[dict[Over, Callable[[Sequence[int]], int]]] = {
    Over.HIGHEST: max,
    Over.LOWEST: min,
    Over.MEAN: _compute_mean,
}
