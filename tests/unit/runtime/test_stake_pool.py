"""Pools of stake: shares follow gains and losses, and no sequence of moves makes a unit out of nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flockchain.primitives.numbers import BPS, Stake
from flockchain.runtime.stake_pool import (
    EMPTY_POOL,
    Pool,
    PoolRuined,
    add_stake,
    compute_value,
    remove_stake,
    slash_pool,
)

amounts = st.integers(1, 10**20)
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 3), amounts),
        st.tuples(st.just("remove"), st.integers(0, 3), amounts),
        st.tuples(st.just("slash"), st.just(0), st.integers(0, BPS // 2)),
        st.tuples(st.just("reward"), st.just(0), st.integers(0, 10**18)),
    ),
    max_size=30,
)


def test_the_first_stake_buys_one_share_a_unit() -> None:
    assert add_stake(EMPTY_POOL, 500) == (Pool(Stake(500), 500), 500)


def test_a_reward_reaches_every_holder_in_proportion() -> None:
    pool = Pool(Stake(3000), 2000)
    assert compute_value(pool, 500) == 750
    assert compute_value(pool, 1500) == 2250


def test_a_slash_reaches_every_holder_in_proportion() -> None:
    pool, taken = slash_pool(Pool(Stake(2000), 2000), 2_500)
    assert taken == 500
    assert compute_value(pool, 1000) == 750


def test_taking_all_leaves_no_share_and_no_unit() -> None:
    pool, used, out = remove_stake(Pool(Stake(999), 1000), 1000, 10**9)
    assert (pool, used, out) == (EMPTY_POOL, 1000, 999)


def test_a_pool_that_was_slashed_to_nothing_takes_no_stake() -> None:
    pool, _ = slash_pool(Pool(Stake(1000), 1000), BPS)
    assert not pool.is_sound
    with pytest.raises(PoolRuined):
        add_stake(pool, 1000)


def test_an_amount_under_one_share_is_refused() -> None:
    with pytest.raises(PoolRuined):
        add_stake(Pool(Stake(1000), 1), 999)


@given(moves=MOVES)
def test_holders_never_have_more_than_the_pool(moves: list[tuple[str, int, int]]) -> None:
    pool, shares = EMPTY_POOL, [0, 0, 0, 0]
    for move, holder, amount in moves:
        if move == "add" and pool.is_sound:
            try:
                pool, issued = add_stake(pool, amount)
            except PoolRuined:
                continue
            shares[holder] += issued
            assert compute_value(pool, issued) <= amount
        elif move == "remove" and shares[holder]:
            value = compute_value(pool, shares[holder])
            pool, used, out = remove_stake(pool, shares[holder], amount)
            shares[holder] -= used
            assert out == min(amount, value)
        elif move == "slash":
            pool, _ = slash_pool(pool, amount)
        elif move == "reward" and pool.is_sound and pool.shares:
            pool = Pool(Stake(pool.stake + amount), pool.shares)
        assert sum(shares) == pool.shares
        assert sum(compute_value(pool, held) for held in shares) <= pool.stake


@given(first=amounts, second=amounts, out=amounts)
def test_a_move_never_costs_those_who_stay(first: int, second: int, out: int) -> None:
    pool, held = add_stake(EMPTY_POOL, first)
    pool = Pool(Stake(pool.stake + pool.stake // 3), pool.shares)
    before = compute_value(pool, held)
    try:
        pool, issued = add_stake(pool, second)
    except PoolRuined:
        return
    assert compute_value(pool, held) >= before
    pool, _, _ = remove_stake(pool, issued, out)
    assert compute_value(pool, held) >= before
