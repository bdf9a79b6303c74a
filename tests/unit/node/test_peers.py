"""Whom to dial, which of two connections stays, how faults add up, and what a peer may send."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flockchain.gossip.messages import MessageKind
from flockchain.node.framing import MESSAGES_PER_FRAME_MAX, BrokenFrame, pack_messages, unpack_messages
from flockchain.node.peers import DialConfig, DialPlan, compute_is_kept
from flockchain.node.rate_limits import KIND_RULES, PeerRates, Rate
from flockchain.node.standing import Misdeed, StandingConfig, Standings

LOW, HIGH, SOURCE = b"\1" * 32, b"\2" * 32, b"\3" * 32
CONFIG = DialConfig(first_retry_ms=100, known_retry_max_ms=1_000, courtesy_ms=500, heard_attempts_max=3, peers_max=4)


def build_plan(*statics, local=LOW):
    return DialPlan(local, "me:1", statics, CONFIG)


def test_static_peers_are_dialled_at_once_and_not_twice_at_a_time():
    plan = build_plan("a:1", "b:1")
    assert plan.take_due(0, ()) == ["a:1", "b:1"]
    assert plan.take_due(0, ()) == []


def test_the_wait_doubles_up_to_a_bound_and_a_static_peer_is_never_given_up():
    plan = build_plan("a:1")
    now_ms, waits = 0, []
    for _ in range(6):
        assert plan.take_due(now_ms, ()) == ["a:1"]
        plan.on_failed("a:1", now_ms, 0)
        wait_ms = next(wait for wait in range(100, 2000, 50) if _is_due(plan, now_ms + wait))
        waits.append(wait_ms)
        now_ms += wait_ms
    assert waits == [100, 200, 400, 800, 1000, 1000]


def test_jitter_only_lengthens_the_wait():
    plan = build_plan("a:1")
    plan.take_due(0, ())
    plan.on_failed("a:1", 0, 500)
    assert not _is_due(plan, 149)
    assert _is_due(plan, 150)


def test_a_connected_peer_is_not_dialled_and_is_dialled_again_when_lost():
    plan = build_plan("a:1")
    plan.take_due(0, ())
    plan.on_connected("a:1", HIGH, 0)
    assert plan.take_due(10_000, {HIGH}) == []
    plan.on_lost("a:1", 20_000)
    assert plan.take_due(20_099, ()) == []
    assert plan.take_due(20_100, ()) == ["a:1"]


def test_the_wait_doubles_for_a_peer_that_answers_and_refuses_each_time():
    plan = build_plan("a:1")
    plan.take_due(0, ())
    plan.on_identified("a:1", HIGH)
    plan.on_failed("a:1", 0, 0)
    assert plan.take_due(100, ()) == ["a:1"]
    plan.on_identified("a:1", HIGH)
    plan.on_failed("a:1", 100, 0)
    assert plan.take_due(299, ()) == []
    assert plan.take_due(300, {HIGH}) == []  # it has connected to us in the meantime
    assert plan.take_due(300, ()) == ["a:1"]


def test_an_address_of_our_own_is_never_dialled_again():
    plan = build_plan("loop:1")
    plan.take_due(0, ())
    plan.on_own_address("loop:1")
    assert plan.take_due(10**9, ()) == []


def test_a_discovered_peer_is_dialled_by_the_lower_id_first():
    plan = build_plan(local=LOW)
    plan.on_heard(SOURCE, "127.0.0.1", HIGH, "h:1", 0)
    assert plan.take_due(0, ()) == ["h:1"]
    plan = build_plan(local=HIGH)
    plan.on_heard(SOURCE, "127.0.0.1", LOW, "l:1", 0)
    assert plan.take_due(499, ()) == []
    assert plan.take_due(500, ()) == ["l:1"]


def test_a_discovered_peer_is_forgotten_after_enough_failures():
    plan = build_plan()
    plan.on_heard(SOURCE, "127.0.0.1", HIGH, "h:1", 0)
    for attempt in range(3):
        assert plan.take_due(10_000 * attempt, ()) == ["h:1"]
        plan.on_failed("h:1", 10_000 * attempt, 0)
    assert plan.addresses == ()


def test_what_neighbours_tell_is_not_about_ourselves():
    plan = build_plan()
    plan.on_heard(SOURCE, "127.0.0.1", LOW, "other:1", 0)
    plan.on_heard(SOURCE, "127.0.0.1", HIGH, "me:1", 0)
    plan.on_heard(SOURCE, "127.0.0.1", HIGH, "", 0)
    assert plan.addresses == ()


def test_no_more_are_dialled_than_there_is_room_for():
    plan = build_plan(*(f"a:{number}" for number in range(1, 10)))
    assert len(plan.take_due(0, {LOW, HIGH})) == 2


@given(st.booleans(), st.booleans(), st.booleans())
def test_both_ends_keep_the_same_one_of_two_connections(first_by_low, second_by_low, is_same_instance):
    def is_first_kept(local, remote):
        is_low = local == LOW
        return compute_is_kept(
            local, remote, old_is_outbound=first_by_low == is_low, new_is_outbound=second_by_low == is_low,
            is_same_instance=is_same_instance,
        )  # fmt: skip

    assert is_first_kept(LOW, HIGH) == is_first_kept(HIGH, LOW)
    if is_same_instance and first_by_low != second_by_low:
        assert is_first_kept(LOW, HIGH) == first_by_low


def test_faults_add_up_to_a_ban_that_ends():
    standings = Standings(StandingConfig(ban_points=50, ban_ms=1_000))
    assert not standings.on_misdeed(LOW, Misdeed.BAD_MESSAGE, 0)
    assert standings.on_misdeed(LOW, Misdeed.BAD_MESSAGE, 0)
    assert standings.is_banned(LOW, 999)
    assert not standings.is_banned(LOW, 1_000)
    assert not standings.is_banned(HIGH, 0)
    assert standings.get_points(LOW, 1_000) == 0


def test_time_forgives():
    standings = Standings(StandingConfig(ban_points=50, forgive_points_per_minute=300))
    standings.on_misdeed(LOW, Misdeed.BAD_MESSAGE, 0)
    assert standings.get_points(LOW, 2_000) == 15
    assert not standings.on_misdeed(LOW, Misdeed.BAD_MESSAGE, 5_000)


def test_records_are_bounded_and_a_ban_outlives_the_others():
    standings = Standings(StandingConfig(ban_points=50, records_max=2))
    standings.on_misdeed(LOW, Misdeed.BAD_FRAME, 0)
    for number in range(3, 9):
        standings.on_misdeed(bytes([number]) * 32, Misdeed.OVER_RATE, number)
    assert standings.is_banned(LOW, 10)


def test_a_rate_allows_a_burst_and_then_its_pace():
    rates = PeerRates(0, {**KIND_RULES, MessageKind.STATUS: replace(KIND_RULES[MessageKind.STATUS], rate=Rate(2, 3))})
    passed = [rates.is_within(MessageKind.STATUS, 10, at_ms) for at_ms in (0, 0, 0, 0, 499, 500, 500, 1_000)]
    assert passed == [True, True, True, False, False, True, False, True]


def test_bytes_are_limited_whatever_their_kind():
    rates = PeerRates(0, bytes_rate=Rate(100, 1_000))
    assert rates.is_within(MessageKind.PROPOSAL, 900, 0)
    assert not rates.is_within(MessageKind.VOTE, 101, 0)
    assert rates.is_within(MessageKind.VOTE, 101, 10)


def test_every_kind_of_message_has_a_rule():
    assert set(KIND_RULES) == set(MessageKind)


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=20))
def test_a_frame_holds_its_messages(messages):
    assert unpack_messages(pack_messages(messages)) == messages


@given(st.binary(max_size=60))
def test_any_bytes_unpack_to_what_packs_back_or_are_refused(payload):
    try:
        messages = unpack_messages(payload)
    except BrokenFrame:
        return
    assert pack_messages(messages) == payload


@pytest.mark.parametrize("payload", [b"", b"\0\0\0", b"\0\0\0\0", b"\0\0\0\2a", b"\xff\xff\xff\xffa"])
def test_a_frame_whose_lengths_do_not_add_up_is_refused(payload):
    with pytest.raises(BrokenFrame):
        unpack_messages(payload)


def test_a_frame_of_too_many_messages_is_refused():
    with pytest.raises(BrokenFrame):
        unpack_messages(pack_messages([b"a"] * (MESSAGES_PER_FRAME_MAX + 1)))


def _is_due(plan, now_ms):
    """Whether the plan would dial now, without doing so."""
    return any(entry.not_before_ms <= now_ms for entry in plan._entries.values())
