"""Links of the simulated network: cut, clogged, slow, one way each, and healed."""

from __future__ import annotations

from random import Random

from flockchain.primitives.numbers import NodeId
from flockchain.sim.network import HEALED, NetworkFaults, SimNetwork

A, B, C = (NodeId(bytes([index]) * 32) for index in range(3))
FIXED = NetworkFaults(delay_min_ms=10, delay_max_ms=10)


def build(faults: NetworkFaults = FIXED) -> SimNetwork:
    return SimNetwork(Random(1), faults)


def test_a_link_is_cut_one_way() -> None:
    network = build()
    network.cut([(A, B)])
    assert network.plan(A, B, 0) == ()
    assert network.plan(B, A, 0) == (10,)


def test_a_link_that_was_cut_twice_carries_when_it_was_mended_twice() -> None:
    network = build()
    network.cut([(A, B)])
    network.cut([(A, B), (A, C)])
    network.mend([(A, B), (A, C)])
    assert not network.can_reach(A, B)
    assert network.can_reach(A, C)
    network.mend([(A, B)])
    assert network.can_reach(A, B)


def test_what_is_sent_into_a_clog_arrives_at_its_end() -> None:
    network = build()
    network.clog([(A, B)], until_ms=500)
    assert network.is_clogged(A, B, 499)
    assert [network.plan(A, B, now_ms) for now_ms in (100, 499, 500, 900)] == [(410,), (11,), (10,), (10,)]
    assert network.plan(B, A, 100) == (10,)


def test_a_slow_link_is_slower_than_its_way_back() -> None:
    network = build()
    network.slow((A, B), 300)
    assert network.plan(A, B, 0) == (310,)
    assert network.plan(B, A, 0) == (10,)


def test_healing_mends_everything_but_what_is_to_stay_apart() -> None:
    network = build(NetworkFaults(loss_permille=1_000))
    assert network.plan(A, B, 0) == ()
    network.cut([(A, B)])
    network.clog([(A, B)], until_ms=10_000)
    network.slow((A, B), 10_000)
    network.heal(apart=[(A, C)])
    (delay_ms,) = network.plan(A, B, 0)
    assert HEALED.delay_min_ms <= delay_ms <= HEALED.delay_max_ms
    assert network.plan(A, C, 0) == ()
    assert network.plan(C, A, 0) != ()
