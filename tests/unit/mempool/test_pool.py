"""Order, bounds and replacement of waiting extrinsics."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.crypto.hashing import sha256
from flockchain.mempool import (
    AlreadyPooled,
    NonceTooFar,
    Pool,
    PoolFull,
    PoolLimits,
    SenderFull,
    StaleNonce,
    Underpriced,
)
from flockchain.primitives.extrinsic import Call, ExtrinsicPayload

ALICE, BOB, CAROL = (bytes([number]) * 32 for number in (1, 2, 3))


@dataclass(frozen=True)
class Extrinsic:
    payload: ExtrinsicPayload
    raw: bytes

    @property
    def digest(self):
        return sha256(self.raw)


def build(sender, nonce, tip=0, *, size=100, birth=0, lifetime=1000, salt=b""):
    payload = ExtrinsicPayload(sender, nonce, tip, birth, lifetime, 1, Call(0, 0, b""))
    raw = (sender[:1] + nonce.to_bytes(8, "big") + tip.to_bytes(8, "big") + salt).ljust(size, b"\0")
    return Extrinsic(payload, raw)


def take(pool, *, height=1, count=1000, size=10**9, nonces=None):
    return pool.take(height, count, size, lambda account: (nonces or {}).get(account, 0))


def snapshot(pool):
    return list(pool), len(pool), pool.size_bytes


def refuse(pool, error, extrinsic, account_nonce=0):
    before = snapshot(pool)
    with pytest.raises(error):
        pool.add(extrinsic, account_nonce)
    assert snapshot(pool) == before


def test_nonces_of_a_sender_come_out_in_order_whatever_the_order_of_arrival():
    pool = Pool()
    for nonce in (2, 0, 1):
        pool.add(build(ALICE, nonce), 0)
    assert [item.payload.nonce for item in take(pool)] == [0, 1, 2]
    assert len(pool) == 3  # taking removes nothing


def test_what_is_behind_a_gap_waits():
    pool = Pool()
    for nonce in (0, 1, 3):
        pool.add(build(ALICE, nonce), 0)
    assert [item.payload.nonce for item in take(pool)] == [0, 1]
    assert pool.get_pending_nonce(ALICE, 0) == 2


def test_the_higher_tip_goes_first_and_the_earlier_among_equals():
    pool = Pool()
    first, second, third = build(ALICE, 0, 5), build(BOB, 0, 9), build(CAROL, 0, 5)
    for item in (first, second, third):
        pool.add(item, 0)
    assert take(pool) == [second, first, third]


def test_a_high_tip_does_not_overtake_its_senders_earlier_nonce():
    pool = Pool()
    low, high, other = build(ALICE, 0, 1), build(ALICE, 1, 100), build(BOB, 0, 50)
    for item in (low, high, other):
        pool.add(item, 0)
    assert take(pool) == [other, low, high]


def test_the_state_that_a_block_builds_upon_decides_where_a_sender_starts():
    pool = Pool()
    for nonce in range(4):
        pool.add(build(ALICE, nonce), 0)
    assert [item.payload.nonce for item in take(pool, nonces={ALICE: 2})] == [2, 3]


def test_taking_keeps_to_the_count_and_the_bytes():
    pool = Pool()
    pool.add(build(ALICE, 0, 9, size=500), 0)
    pool.add(build(BOB, 0, 5, size=100), 0)
    assert len(take(pool, count=1)) == 1
    assert [item.payload.sender for item in take(pool, size=450)] == [BOB]


def test_a_mortal_extrinsic_is_taken_only_inside_its_life():
    pool = Pool()
    pool.add(build(ALICE, 0, birth=5, lifetime=10), 0)
    assert [len(take(pool, height=height)) for height in (5, 6, 15, 16)] == [0, 1, 1, 0]
    assert pool.on_expired(14) == []
    assert pool.on_expired(15) == [build(ALICE, 0, birth=5, lifetime=10).digest]
    assert (len(pool), pool.size_bytes) == (0, 0)


def test_the_same_extrinsic_twice_is_refused():
    pool = Pool()
    pool.add(build(ALICE, 0), 0)
    refuse(pool, AlreadyPooled, build(ALICE, 0))


def test_a_used_nonce_is_refused():
    refuse(Pool(), StaleNonce, build(ALICE, 4), account_nonce=5)


def test_a_nonce_far_ahead_is_refused():
    pool = Pool(PoolLimits(per_sender_max=4))
    pool.add(build(ALICE, 3), 0)
    refuse(pool, NonceTooFar, build(ALICE, 4))


def test_a_sender_has_its_cap():
    pool = Pool(PoolLimits(per_sender_max=3))
    for nonce in range(3):
        pool.add(build(ALICE, nonce), 0)
    refuse(pool, SenderFull, build(ALICE, 3), account_nonce=1)
    pool.add(build(BOB, 0), 0)


def test_only_a_tip_that_is_a_tenth_higher_replaces():
    pool = Pool()
    pool.add(build(ALICE, 0, 100), 0)
    refuse(pool, Underpriced, build(ALICE, 0, 109))
    pool.add(build(ALICE, 0, 110), 0)
    assert [item.payload.tip for item in pool] == [110]
    refuse(pool, Underpriced, build(ALICE, 0, 110, salt=b"x"))


def test_a_full_pool_lets_the_lowest_tip_go_with_its_later_nonces():
    pool = Pool(PoolLimits(extrinsics_max=4))
    for item in (build(ALICE, 0, 1), build(ALICE, 1, 50), build(BOB, 0, 5), build(CAROL, 0, 6)):
        pool.add(item, 0)
    newcomer = build(bytes([4]) * 32, 0, 7)
    pool.add(newcomer, 0)
    assert [item.payload.sender for item in pool] == [BOB, CAROL, newcomer.payload.sender]


def test_a_full_pool_refuses_what_tips_no_more_than_the_least():
    pool = Pool(PoolLimits(extrinsics_max=2))
    pool.add(build(ALICE, 0, 5), 0)
    pool.add(build(BOB, 0, 6), 0)
    refuse(pool, PoolFull, build(CAROL, 0, 5))


def test_a_sender_does_not_push_out_its_own_earlier_nonce():
    pool = Pool(PoolLimits(extrinsics_max=2))
    pool.add(build(ALICE, 0, 1), 0)
    pool.add(build(BOB, 0, 6), 0)
    refuse(pool, PoolFull, build(ALICE, 1, 100))


def test_the_bytes_are_bounded_too():
    pool = Pool(PoolLimits(bytes_max=250))
    pool.add(build(ALICE, 0, 5, size=100), 0)
    pool.add(build(BOB, 0, 6, size=100), 0)
    refuse(pool, PoolFull, build(CAROL, 0, 5, size=100))
    pool.add(build(CAROL, 0, 7, size=240), 0)
    assert [item.payload.sender for item in pool] == [CAROL]


def test_what_a_finalized_block_carried_is_forgotten_and_so_are_its_rivals():
    pool = Pool()
    included, rival, later = build(ALICE, 0, 1, salt=b"in the block"), build(ALICE, 0, 2), build(ALICE, 1)
    pool.add(rival, 0)
    pool.add(later, 0)
    pool.on_finalized([included.digest], {ALICE: 1})
    assert list(pool) == [later]


def test_discarding_forgets_one_extrinsic_and_a_second_time_nothing():
    pool = Pool()
    pool.add(build(ALICE, 0), 0)
    for _ in range(2):
        pool.discard(build(ALICE, 0).digest)
        assert snapshot(pool) == ([], 0, 0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 30), st.integers(10, 90)), max_size=60))
def test_whatever_arrives_the_bounds_hold_and_what_is_taken_can_run(arrivals):
    limits = PoolLimits(extrinsics_max=8, per_sender_max=4, bytes_max=400)
    pool = Pool(limits)
    for at, (sender, nonce, tip, size) in enumerate(arrivals):
        before = snapshot(pool)
        try:
            pool.add(build(bytes([sender]) * 32, nonce, tip, size=size + 20, salt=bytes([at])), 0)
        except (AlreadyPooled, NonceTooFar, SenderFull, Underpriced, PoolFull):
            assert snapshot(pool) == before
        assert len(pool) <= 8
        assert pool.size_bytes == sum(len(item.raw) for item in pool) <= 400
    nonces = {}
    assert pool.has_ready(1, lambda account: 0) == bool(take(pool))
    for item in take(pool):
        assert item.payload.nonce == nonces.get(item.payload.sender, 0)
        nonces[item.payload.sender] = item.payload.nonce + 1
    waiting = {item.payload.sender: item.payload.nonce for item in pool if item.payload.nonce == 0}
    assert set(waiting) == set(nonces)
