"""Division of integer arrays, rounded half to even (PROTOCOL §6). It knows numbers only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flockchain.primitives.errors import InvalidInput

__all__ = ["DIVISOR_MAX", "SMALL_DIVISOR_MAX", "DivisorError", "divide_half_even", "divide_half_even_in_place"]

DIVISOR_MAX = 2**31  # twice a remainder stays far inside int64
SMALL_DIVISOR_MAX = 2**30 - 1  # twice a remainder, and one, stays inside int32


class DivisorError(InvalidInput):
    """A divisor outside 1..DIVISOR_MAX."""


def divide_half_even(numerators: NDArray[Any], divisor: int) -> NDArray[np.int64]:
    """`numerators / divisor`, each quotient rounded to the nearest integer and a tie to the even one.

    Any integer array (as int64), any shape.
    """
    wide: NDArray[np.int64] = numerators.astype(np.int64)
    divide_half_even_in_place(wide, divisor)
    return wide


def divide_half_even_in_place(values: NDArray[Any], divisor: int) -> None:
    """The same, of an int32 or int64 array that becomes its own quotients.

    The floor quotient q and remainder r satisfy n = q·d + r with 0 <= r < d; q + 1 is nearer when 2r > d, and on a tie
    (2r = d) it is the even one when q is odd: so q + 1 is taken exactly when 2r + (q mod 2) > d.
    """
    most = SMALL_DIVISOR_MAX if values.dtype.itemsize < 8 else DIVISOR_MAX
    if not 1 <= divisor <= most:
        raise DivisorError("a divisor must be positive and small enough", divisor=divisor, most=most)
    if divisor == 1:
        return
    floors = values // divisor
    values -= floors * divisor
    values += values
    values += floors & 1
    np.add(floors, values > divisor, out=values)
