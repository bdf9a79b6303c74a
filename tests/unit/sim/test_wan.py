"""Distances, the bound that they give, and the meter: what the figures of `wan` rest upon."""

from __future__ import annotations

import random

import pytest

from flockchain.primitives.errors import InvariantBroken
from flockchain.primitives.numbers import NodeId
from flockchain.sim.signatures import SimulatedBls
from flockchain.sim.wan.bounds import Members, compute_final_ms, compute_hop_ms, compute_quorum_ms
from flockchain.sim.wan.counted_bls import CountedBls
from flockchain.sim.wan.latency import JITTER_PERCENT, RegionLatency
from flockchain.sim.wan.regions import REGIONS, compute_one_way_ms

NEAR, FAR = NodeId(b"\1" * 32), NodeId(b"\2" * 32)
EVERYWHERE = range(len(REGIONS))


def test_distances_are_symmetric_positive_and_smallest_at_home() -> None:
    for here in EVERYWHERE:
        for there in EVERYWHERE:
            assert compute_one_way_ms(here, there) == compute_one_way_ms(there, here) > 0
            assert compute_one_way_ms(here, here) <= compute_one_way_ms(here, there)


def test_a_message_takes_its_distance_and_at_most_the_jitter_more() -> None:
    latency = RegionLatency(random.Random(7))
    latency.place(NEAR, 0)
    latency.place(FAR, 9)
    least_ms = compute_one_way_ms(0, 9)
    drawn = {latency.draw_ms(NEAR, FAR) for _ in range(500)}
    assert min(drawn) == least_ms
    assert max(drawn) == least_ms + least_ms * JITTER_PERCENT // 100


def test_a_node_without_a_place_has_no_latency_of_its_own_and_takes_no_randomness() -> None:
    rng = random.Random(7)
    before = rng.getstate()
    latency = RegionLatency(rng)
    latency.place(NEAR, 0)
    assert latency.draw_ms(NEAR, FAR) is None
    assert rng.getstate() == before


def test_a_quorum_is_more_than_two_thirds_of_all_stake_the_absent_included() -> None:
    assert compute_quorum_ms([30, 10, 20], [1, 1, 1], 3) == 30
    assert compute_quorum_ms([30, 10, 20], [1, 1, 2], 4) == 20
    assert compute_quorum_ms([40, 10, 20, 30], [1, 1, 1, 1], 4) == 30
    with pytest.raises(InvariantBroken):
        compute_quorum_ms([10, 20], [1, 1], 3)


def test_the_bound_is_three_hops_worked_out_by_hand() -> None:
    members = Members((0, 0, 0, 9), (1, 1, 1, 1), 4)  # three of four are a quorum: nobody waits for the far one
    home, away = compute_one_way_ms(0, 0), compute_one_way_ms(0, 9)
    assert compute_hop_ms(members) == home
    assert compute_final_ms(members, 0) == (3 * home,) * 3 + (2 * home + away,)
    assert compute_final_ms(members, 9) == (away + 2 * home,) * 3 + (2 * away + home,)


def test_signatures_are_counted_and_their_answers_are_the_backends() -> None:
    counted = CountedBls(SimulatedBls())
    keys = [counted.generate_secret_key(bytes([index])) for index in range(3)]
    signatures = [counted.sign(key, b"word") for key in keys]
    public = [counted.get_public_key(key) for key in keys]
    assert counted.verify(public[0], b"word", signatures[0])
    assert not counted.verify(public[0], b"word", signatures[1])
    assert counted.fast_aggregate_verify(public, b"word", counted.aggregate(signatures))
    assert (counted.checks, counted.pairings, counted.signatures) == (3, 6, 3)
