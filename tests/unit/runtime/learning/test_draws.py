"""Draws: fair, bounded, repeatable by anyone who knows the seed."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.crypto.hashing import sha256
from flockchain.primitives.errors import InvariantBroken
from flockchain.primitives.numbers import Hash, Round, TaskId
from flockchain.runtime.draws import (
    compute_audit_positions,
    compute_committee,
    compute_prompt_rows,
    compute_round_seed,
)
from tests.kit.keys import build_validator_set


def seed(number: int) -> Hash:
    return sha256(number.to_bytes(8, "big"))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 300), st.data())
def test_rows_are_distinct_unused_and_as_many_as_wanted(number: int, suite_rows: int, data: st.DataObject) -> None:
    used = data.draw(st.sets(st.integers(0, suite_rows - 1), max_size=suite_rows))
    count = data.draw(st.integers(0, suite_rows - len(used)))
    rows = compute_prompt_rows(seed(number), suite_rows, count, used)
    assert len(rows) == len(set(rows)) == count
    assert all(0 <= row < suite_rows for row in rows)
    assert not set(rows) & used
    assert rows == compute_prompt_rows(seed(number), suite_rows, count, sorted(used))


def test_rows_come_from_everywhere_and_in_no_order() -> None:
    counts: Counter[int] = Counter()
    for number in range(400):
        rows = compute_prompt_rows(seed(number), 20, 5)
        counts.update(rows)
    assert set(counts) == set(range(20))
    assert max(counts.values()) < 2 * min(counts.values())
    assert any(list(rows) != sorted(rows) for rows in [compute_prompt_rows(seed(1), 1_000, 5)])


def test_a_draw_of_a_big_suite_is_cheap_and_more_than_there_is_is_a_mistake() -> None:
    assert len(set(compute_prompt_rows(seed(1), 1_000_000, 1_000))) == 1_000
    with pytest.raises(InvariantBroken):
        compute_prompt_rows(seed(1), 10, 11)


def test_audit_positions_are_ascending_and_not_the_prompts_draw() -> None:
    positions = compute_audit_positions(seed(3), 960, 16)
    assert list(positions) == sorted(set(positions))
    assert set(positions) != set(compute_prompt_rows(seed(3), 960, 16))


def test_a_committee_is_bounded_distinct_and_ascending() -> None:
    validators = build_validator_set((100, 100, 100, 100, 0))
    for size in (1, 2, 4, 9):
        committee = compute_committee(seed(size), validators, size)
        accounts = [member.account for member in committee]
        assert accounts == sorted(set(accounts))
        assert len(committee) == min(size, 4)
        assert all(member.stake for member in committee)


def test_seats_go_by_stake() -> None:
    validators = build_validator_set((700, 100, 100, 100))
    big = max(validators.validators, key=lambda validator: validator.stake).account
    wins = sum(compute_committee(seed(number), validators, 1)[0].account == big for number in range(1_000))
    assert 640 < wins < 760


def test_a_member_keeps_the_stake_and_keys_of_its_epoch() -> None:
    validators = build_validator_set((5, 6, 7, 8))
    for member in compute_committee(seed(0), validators, 4):
        index = validators.get_index_of(member.account)
        assert index is not None
        validator = validators.validators[index]
        assert (member.stake, member.score_key, member.certificate_key) == (
            validator.stake, validator.score_key, validator.certificate_key
        )  # fmt: skip


def test_every_round_task_and_purpose_has_its_own_seed() -> None:
    seeds = {
        compute_round_seed(tag, seed(1), TaskId(task), Round(round_))
        for tag in ("round", "audit")
        for task in range(3)
        for round_ in range(3)
    }
    assert len(seeds) == 18
