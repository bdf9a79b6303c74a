"""Division rounded half to even, against exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.exact import divide_half_even
from flockchain.exact.rounding import DIVISOR_MAX, DivisorError


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(2**61), 2**61), min_size=1, max_size=8), st.integers(1, DIVISOR_MAX))
def test_a_quotient_is_the_nearest_integer_and_a_tie_goes_to_the_even_one(values: list[int], divisor: int) -> None:
    quotients = divide_half_even(np.array(values, dtype=np.int64), divisor)
    assert [int(quotient) for quotient in quotients] == [round(Fraction(value, divisor)) for value in values]


def test_small_ties_are_as_written_down() -> None:
    values = np.array([-7, -5, -3, -1, 0, 1, 3, 5, 7], dtype=np.int16)
    assert divide_half_even(values, 2).tolist() == [-4, -2, -2, 0, 0, 0, 2, 2, 4]
    assert divide_half_even(values, 1).tolist() == values.tolist()


def test_the_input_is_left_as_it_was() -> None:
    values = np.array([5, 6, 7], dtype=np.int64)
    divide_half_even(values, 2)
    assert values.tolist() == [5, 6, 7]


@pytest.mark.parametrize("divisor", [0, -1, DIVISOR_MAX + 1])
def test_a_divisor_out_of_range_is_refused(divisor: int) -> None:
    with pytest.raises(DivisorError):
        divide_half_even(np.array([1], dtype=np.int64), divisor)
