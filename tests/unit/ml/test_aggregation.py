"""The accumulated rule in plain integers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain_ml.aggregation import compute_accepted, compute_reputations


@pytest.mark.parametrize(
    ("before", "score", "after"),
    [(0, 7, 7), (0, 9_000, 5_000), (5_000, 0, 4_000), (4, 0, 3), (-4, 0, -3), (-6, 0, -4), (-10, -5, -13), (0, 0, 0)],
)
def test_a_fifth_of_a_reputation_fades_towards_zero_and_the_cap_holds(before: int, score: int, after: int) -> None:
    assert compute_reputations([before], [score], 5_000) == (after,)


def test_nobody_is_rejected_until_the_mass_is_over_its_threshold() -> None:
    reputations = (5, -60, -30, -10)
    assert compute_accepted(reputations, 100, -20) == (0, 1, 2, 3)
    assert compute_accepted(reputations, 99, -20) == (0, 3)
    assert compute_accepted(reputations, 99, -30) == (0, 2, 3)


@given(st.lists(st.integers(-(10**12), 10**12), max_size=12), st.integers(0, 10**6), st.integers(-(10**6), 0))
@settings(max_examples=100)
def test_a_reputation_that_is_not_below_the_floor_is_always_accepted(
    reputations: list[int], mass_threshold: int, floor: int
) -> None:
    accepted = compute_accepted(reputations, mass_threshold, floor)
    assert set(accepted) >= {index for index, value in enumerate(reputations) if value >= floor}
    assert list(accepted) == sorted(set(accepted))


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=30))
@settings(max_examples=100)
def test_a_sleeper_cannot_save_up_more_than_the_cap(scores: list[int]) -> None:
    reputation = (0,)
    for score in scores:
        reputation = compute_reputations(reputation, [score], 5_000)
        assert reputation[0] <= 5_000
    assert compute_reputations(reputation, [-30_000], 5_000)[0] <= -26_000
