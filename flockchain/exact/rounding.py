"""Division of integer arrays, rounded half to even (PROTOCOL §6). It knows numbers only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flockchain.primitives.errors import InvalidInput

__all__ = ["DIVISOR_MAX", "DivisorError", "divide_half_even"]

DIVISOR_MAX = 2**31  # twice a remainder stays far inside int64


class DivisorError(InvalidInput):
    """A divisor outside 1..DIVISOR_MAX."""


def divide_half_even(numerators: NDArray[Any], divisor: int) -> NDArray[np.int64]:
    """`numerators / divisor`, each quotient rounded to the nearest integer and a tie to the even one.

    Any integer array (as int64), any shape. The floor quotient q and remainder r satisfy n = q·d + r with 0 <= r < d;
    q + 1 is nearer when 2r > d, and on a tie (2r = d) the even one of q and q + 1 is taken.
    """
    if not 1 <= divisor <= DIVISOR_MAX:
        raise DivisorError("a divisor must be a positive 32-bit integer", divisor=divisor, most=DIVISOR_MAX)
    wide = numerators.astype(np.int64)
    floors: NDArray[np.int64] = wide // divisor
    doubled = (wide - floors * divisor) * 2
    floors += (doubled > divisor) | ((doubled == divisor) & (floors & 1 == 1))
    return floors
