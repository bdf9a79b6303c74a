"""The table of message kinds: all are in it, its sizes hold before anything is decoded, its queues hold theirs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flockchain.gossip.messages import (
    ADDRESS_BYTES_MAX,
    MessageKind,
    Neighbour,
    NeighboursMessage,
    StatusMessage,
    VoteMessage,
    compute_message_bytes_max,
    encode_message,
)
from flockchain.node.outgoing import OutgoingQueues, Queued
from flockchain.node.rate_limits import CHANNELS, KIND_RULES, Channel, WhenFull
from flockchain.primitives.limits import FRAME_BYTES_MAX, PEERS_MAX
from flockchain.primitives.vote import Vote, VoteKind
from tests.house.sources import ROOT

SMALL = tuple(replace(channel, messages_max=4, bytes_max=100) for channel in CHANNELS)
KINDS = {channel.name: [kind for kind, rule in KIND_RULES.items() if rule.channel is channel] for channel in CHANNELS}
CONSENSUS, GOSSIP, SYNC = (channel.name for channel in CHANNELS)


def build(kind: MessageKind, size_bytes: int, mark: int = 0) -> bytes:
    return bytes([kind]) + bytes([mark]) * (size_bytes - 1)


def of(channel: str, size_bytes: int = 10, mark: int = 0) -> bytes:
    return build(KINDS[channel][0], size_bytes, mark)


@pytest.mark.parametrize("kind", MessageKind)
def test_every_kind_is_in_the_table_with_a_size_that_fits_a_frame_and_its_channel(kind):
    rule = KIND_RULES[kind]
    assert 0 < rule.bytes_max <= compute_message_bytes_max(kind) <= FRAME_BYTES_MAX
    assert rule.bytes_max <= rule.channel.bytes_max
    assert 0 < rule.rate.per_s <= rule.rate.burst
    assert rule.channel in CHANNELS


@pytest.mark.parametrize(
    "longest",
    [
        VoteMessage(Vote(VoteKind.NOTARIZE, 1, 1, bytes(32), 1, bytes(96))),
        StatusMessage(1, bytes(32), 1, 1),
        NeighboursMessage(tuple(Neighbour(bytes(32), "a" * ADDRESS_BYTES_MAX) for _ in range(PEERS_MAX))),
    ],
    ids=["vote", "status", "neighbours"],
)
def test_the_size_of_a_kind_is_that_of_its_longest_message(longest):
    encoded = encode_message(longest)
    assert len(encoded) == KIND_RULES[MessageKind(encoded[0])].bytes_max


def test_consensus_is_never_dropped_and_a_full_queue_cuts_the_link():
    queues = OutgoingQueues(SMALL)
    assert [queues.push(of(CONSENSUS)) for _ in range(5)] == [Queued.TAKEN] * 4 + [Queued.CUT]
    assert queues.count == 4
    assert sum(queues.dropped.values()) == 0


def test_the_oldest_gossip_makes_room_for_the_newest():
    queues = OutgoingQueues(SMALL)
    outcomes = [queues.push(of(GOSSIP, mark=mark)) for mark in range(6)]
    assert outcomes == [Queued.TAKEN] * 4 + [Queued.OLDEST_DROPPED] * 2
    assert [message[1] for message in queues.take(10, 1000)] == [2, 3, 4, 5]
    assert queues.dropped[GOSSIP] == 2


def test_as_many_old_ones_make_room_as_a_long_new_one_needs():
    queues = OutgoingQueues(SMALL)
    for mark in range(3):
        queues.push(of(GOSSIP, 30, mark))
    assert queues.push(of(GOSSIP, 70, 9)) is Queued.OLDEST_DROPPED
    assert [message[1] for message in queues.take(10, 1000)] == [2, 9]


def test_a_sync_reply_that_finds_no_room_is_refused_and_the_earlier_ones_stay():
    queues = OutgoingQueues(SMALL)
    assert [queues.push(of(SYNC, 40, mark)) for mark in range(3)] == [Queued.TAKEN, Queued.TAKEN, Queued.REFUSED]
    assert [message[1] for message in queues.take(10, 1000)] == [0, 1]


def test_a_full_channel_is_in_no_other_channels_way():
    queues = OutgoingQueues(SMALL)
    for _ in range(10):
        queues.push(of(SYNC, 40))
        queues.push(of(GOSSIP, 40))
    assert queues.push(of(CONSENSUS, 100)) is Queued.TAKEN
    assert queues.take(1, 1000)[0][0] == KINDS[CONSENSUS][0]


def test_gossip_and_sync_take_turns():
    queues = OutgoingQueues(SMALL)
    for _ in range(2):
        queues.push(of(GOSSIP, 40))
        queues.push(of(SYNC, 40))
    firsts = [queues.take(10, 40)[0][0] for _ in range(4)]
    assert firsts == [KINDS[GOSSIP][0], KINDS[SYNC][0]] * 2


@given(st.lists(st.tuples(st.sampled_from(list(MessageKind)), st.integers(1, 100), st.booleans()), max_size=60))
def test_whatever_comes_every_queue_stays_under_its_limits_and_only_dropped_messages_are_missing(steps):
    queues, pushed, taken, lost = OutgoingQueues(SMALL), 0, 0, 0
    for kind, size_bytes, is_taking in steps:
        pushed += 1
        lost += queues.push(build(kind, size_bytes)) is Queued.CUT
        if is_taking:
            taken += len(queues.take(2, 100))
        assert queues.count <= sum(channel.messages_max for channel in SMALL)
        assert queues.size_bytes <= sum(channel.bytes_max for channel in SMALL)
    assert pushed == taken + lost + queues.count + sum(queues.dropped.values())


def test_channels_say_what_happens_when_they_are_full():
    assert {channel.name: channel.when_full for channel in CHANNELS} == {
        "consensus": WhenFull.CUT_LINK, "gossip": WhenFull.DROP_OLDEST, "sync": WhenFull.REFUSE,
    }  # fmt: skip
    assert all(isinstance(channel, Channel) for channel in CHANNELS)


def test_the_guides_table_is_the_codes():
    guide = (ROOT / "docs/guide/networking.md").read_text(encoding="utf-8")
    rows = [
        f"| {kind.name} | {rule.channel.name} | {rule.bytes_max} | {rule.rate.per_s} | {rule.rate.burst} |"
        for kind, rule in KIND_RULES.items()
    ]
    shown = [
        line for line in guide.splitlines() if line.startswith("| ") and line.split(" ")[1] in MessageKind.__members__
    ]
    assert shown == rows
