"""Division rounded half to even, against exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.exact import divide_half_even
from flockchain.exact.rounding import DIVISOR_MAX, SMALL_DIVISOR_MAX, DivisorError, divide_half_even_in_place


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(2**61), 2**61), min_size=1, max_size=8), st.integers(1, DIVISOR_MAX))
def test_a_quotient_is_the_nearest_integer_and_a_tie_goes_to_the_even_one(values: list[int], divisor: int) -> None:
    quotients = divide_half_even(np.array(values, dtype=np.int64), divisor)
    assert [int(quotient) for quotient in quotients] == [round(Fraction(value, divisor)) for value in values]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-(2**30), 2**30), min_size=1, max_size=8), st.integers(1, 200))
def test_int32_gives_what_int64_gives(values: list[int], divisor: int) -> None:
    narrow = np.array(values, dtype=np.int32)
    divide_half_even_in_place(narrow, divisor)
    assert narrow.dtype == np.int32
    assert narrow.tolist() == [round(Fraction(value, divisor)) for value in values]


def test_the_largest_divisors_do_not_overflow() -> None:
    for kind, divisor in ((np.int32, SMALL_DIVISOR_MAX), (np.int64, DIVISOR_MAX)):
        ends = [np.iinfo(kind).min, -divisor // 2, divisor // 2, divisor - 1, np.iinfo(kind).max]
        values = np.array(ends, dtype=kind)
        divide_half_even_in_place(values, divisor)
        assert values.tolist() == [round(Fraction(int(end), divisor)) for end in ends]
    with pytest.raises(DivisorError):
        divide_half_even_in_place(np.array([1], dtype=np.int32), SMALL_DIVISOR_MAX + 1)


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
