"""Means over seeds with their 95 % intervals, after Student. Knows numbers only.

The interval is of the mean over seeds, under the assumption that seeds differ as a normal variable does; for shares
near 0 or 1 it may reach beyond them. One seed has no interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, sqrt
from typing import Final

from flockchain.primitives.errors import invariant

__all__ = ["Interval", "compute_interval", "get_quantile"]

# The .975 quantiles of Student's distribution with 1, 2, ... 30 degrees of freedom, then by table up to 120.
_QUANTILES: Final = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_FURTHER: Final = ((120, 1.980), (60, 2.000), (40, 2.021))


@dataclass(frozen=True, slots=True)
class Interval:
    """`half` is half the interval's width; None of a single value."""

    mean: float
    half: float | None
    count: int

    def format(self, digits: int = 3, factor: float = 1.0) -> str:
        """mean ± half."""
        text = f"{self.mean * factor:.{digits}f}"
        return text if self.half is None else f"{text} ± {self.half * factor:.{digits}f}"


def get_quantile(freedom: int) -> float:
    """The .975 quantile; between the table's lines that of fewer degrees of freedom, which is wider."""
    invariant(freedom >= 1, "an interval needs two values", freedom=freedom)
    if freedom <= len(_QUANTILES):
        return _QUANTILES[freedom - 1]
    return next((value for least, value in _FURTHER if freedom >= least), _QUANTILES[-1])


def compute_interval(values: Sequence[float]) -> Interval:
    """The mean of at least one value, and its interval if there are more."""
    invariant(len(values) > 0, "a mean needs a value")
    mean, count = fsum(values) / len(values), len(values)
    if count == 1:
        return Interval(mean, None, 1)
    variance = fsum((value - mean) ** 2 for value in values) / (count - 1)
    return Interval(mean, get_quantile(count - 1) * sqrt(variance / count), count)
