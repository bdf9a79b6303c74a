"""Peer exchange: what neighbours tell is bounded by source, network and node, and never displaces what is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flockchain.node.peer_file import MetAddress
from flockchain.node.peers import DialConfig, DialPlan, split_address

ME, PEER, SOURCE = b"\1" * 32, b"\2" * 32, b"\3" * 32
OUTSIDE = "8.8.8.8"


def node(number: int) -> bytes:
    return number.to_bytes(32, "big")


def build(**settings) -> DialPlan:
    return DialPlan(ME, "me:1", (), DialConfig(**settings))


def hear(plan: DialPlan, number: int, address: str, source: bytes = SOURCE) -> bool:
    return plan.on_heard(source, OUTSIDE, node(number), address, 0)


def test_one_source_fills_its_share_and_no_more():
    plan = build(heard_per_source_max=3)
    heard = [hear(plan, number, f"{number}.0.0.1:1") for number in range(20, 30)]
    assert sum(heard) == 3
    assert hear(plan, 40, "40.0.0.1:1", PEER)


def test_one_public_network_fills_its_share_and_no_more():
    plan = build(heard_per_group_max=2)
    sources = [node(100 + number) for number in range(5)]
    heard = [hear(plan, 20 + at, f"20.0.{at}.1:1", source) for at, source in enumerate(sources)]
    assert sum(heard) == 2
    assert hear(plan, 40, "21.0.0.1:1")


def test_addresses_of_one_node_do_not_crowd_out_the_others_and_two_sources_may_differ():
    plan = build(heard_per_node_max=2)
    assert hear(plan, 20, "20.0.0.1:1")
    assert hear(plan, 20, "21.0.0.1:1", PEER)  # the first may have lied
    assert not hear(plan, 20, "22.0.0.1:1", node(9))


def test_a_full_table_takes_nothing_new_until_something_in_it_has_failed():
    plan = build(heard_max=2, heard_attempts_max=5)
    assert hear(plan, 20, "20.0.0.1:1")
    assert hear(plan, 21, "21.0.0.1:1")
    assert not hear(plan, 22, "22.0.0.1:1")
    plan.take_due(5_000, ())
    plan.on_failed("21.0.0.1:1", 5_000, 0)
    assert hear(plan, 22, "22.0.0.1:1")
    assert plan.addresses == ("20.0.0.1:1", "22.0.0.1:1")


def test_hearsay_never_displaces_an_address_at_which_somebody_was_met():
    plan = build(heard_max=2, met_max=4)
    plan.restore([MetAddress(f"3{at}.0.0.1:1", node(30 + at), 0) for at in range(4)], 0)
    for number in range(50, 90):
        hear(plan, number, f"{number}.0.0.1:1", node(number))
    assert {f"3{at}.0.0.1:1" for at in range(4)} <= set(plan.addresses)
    assert len(plan.addresses) == 6


def test_a_public_peer_cannot_send_us_around_in_our_own_network():
    plan = build()
    for address in ("127.0.0.1:22", "10.0.0.5:5432", "192.168.1.1:80", "[::1]:22"):
        assert not hear(plan, 20, address)
    assert plan.on_heard(SOURCE, "10.0.0.9", node(20), "10.0.0.5:5432", 0)


@pytest.mark.parametrize(
    "address",
    ["unix:/var/run/docker.sock:1", "dns:///a.example:1", "ipv4:1.2.3.4:1", "a.example", "a.example:0", "a:65536",
     "a b:1", "-a:1", ":1", "a:01", "a:1\n", "xds:a:1"],
)  # fmt: skip
def test_what_is_no_host_and_port_is_not_remembered(address):
    assert split_address(address) is None
    assert not hear(build(), 20, address)


@given(st.text(max_size=40))
def test_no_text_makes_trouble(text):
    parts = split_address(text)
    assert parts is None or 0 < parts[1] < 65_536
    hear(build(), 20, text)


def test_those_met_lately_are_dialled_again_soon_however_often_it_failed_and_long_lost_ones_seldom():
    plan = build(first_retry_ms=100, known_retry_max_ms=1_000, retry_max_ms=15_000, lately_ms=60_000)
    plan.restore([MetAddress("30.0.0.1:1", PEER, 0)], 0)
    waits, now_ms = [], 0
    while now_ms < 200_000:
        assert plan.take_due(now_ms, ()) == ["30.0.0.1:1"]
        plan.on_failed("30.0.0.1:1", now_ms, 0)
        after_ms = next(after for after in range(now_ms + 50, now_ms + 20_000, 50) if plan.take_due(after, ()))
        waits.append((now_ms, after_ms - now_ms))
        plan.on_failed("30.0.0.1:1", after_ms, 0)
        now_ms = next(after for after in range(after_ms + 50, after_ms + 20_000, 50) if _is_due(plan, after))
    assert max(wait for at, wait in waits if at < 58_000) <= 1_000
    assert waits[-1][1] == 15_000


def test_met_addresses_are_bounded_and_forgotten_with_time():
    plan = build(met_max=2, forgotten_ms=1_000)
    plan.restore([MetAddress(f"3{at}.0.0.1:1", node(at), at) for at in range(4)], 10)
    assert [met.address for met in plan.get_met(10)] == ["32.0.0.1:1", "33.0.0.1:1"]
    assert plan.get_met(5_000) == ()
    plan.restore([MetAddress("30.0.0.1:1", PEER, 0)], 5_000)
    assert plan.addresses == ()


def test_not_too_many_are_dialled_at_a_time():
    plan = build(dials_max=3)
    plan.restore([MetAddress(f"3{at}.0.0.1:1", node(at), 0) for at in range(8)], 0)
    assert len(plan.take_due(0, ())) == 3
    assert plan.take_due(0, ()) == []


def _is_due(plan: DialPlan, now_ms: int) -> bool:
    return any(entry.not_before_ms <= now_ms for entry in plan._entries.values())
