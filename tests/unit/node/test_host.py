"""The host performs effects in their order, and knows whose fault an error is."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
import structlog

from flockchain.consensus.guard import GUARD_RECORD, FloorRecord, SuspectRecord, keep_from_epoch
from flockchain.gossip.messages import Neighbour, NeighboursMessage, decode_message, encode_message
from flockchain.node.clock import HostClock
from flockchain.node.host import Host
from flockchain.node.journals import open_journals
from flockchain.node.links import LinkEnd
from flockchain.node.metrics import NodeCounters
from flockchain.primitives.errors import Fault, InvalidInput, InvariantBroken
from flockchain.replica import effects as out
from flockchain.replica import events
from flockchain.rpc.heads import HeadBroadcast
from flockchain.storage.journal import open_journal
from flockchain.storage.journals import COMPACT_AT_BYTES

PEER = b"\1" * 32


class Replica:
    """Answers each event with the next entry of a script: effects, or an error to raise."""

    def __init__(self, *script):
        self.script = list(script)
        self.heard = []
        self.participant = SimpleNamespace(duties=None)

    def on_event(self, event, now_ms):
        self.heard.append(event)
        step = self.script.pop(0) if self.script else []
        if isinstance(step, Exception):
            raise step
        return step


class Wire:
    """A transport that looks at the disk whenever something is sent."""

    def __init__(self, folder):
        self.folder = folder
        self.sent = []
        self.penalised = []
        self.peers = (SimpleNamespace(node_id=PEER, address="10.0.0.1:9700"),)
        self.discovered = []

    def send(self, peers, payload):
        file = self.folder / "votes.journal"
        self.sent.append((peers, payload, file.read_bytes()))

    def penalise(self, peer, reason):
        self.penalised.append((peer, reason))

    def discover(self, source, node_id, address):
        self.discovered.append((source, node_id, address))


def build_host(folder, *script):
    replica = Replica(*script)
    host = Host(
        replica, None, open_journals(folder), HeadBroadcast(), NodeCounters(), HostClock(), structlog.get_logger()
    )  # fmt: skip
    wire = Wire(folder)
    host.connect(wire, None)
    return host, replica, wire


async def test_a_vote_is_on_disk_before_it_is_sent(tmp_path):
    record = b"what is signed"
    host, _, wire = build_host(tmp_path, [out.PersistVote(record), out.SendMessage((PEER,), b"\1vote")])
    host.start()
    ((peers, payload, on_disk),) = wire.sent
    assert (peers, payload) == ((PEER,), b"\1vote")
    assert record in on_disk
    assert open_journal(tmp_path / "votes.journal").records() == (record,)


async def test_when_the_journal_fails_nothing_is_sent_and_the_node_stops(tmp_path):
    host, replica, wire = build_host(tmp_path, [out.PersistVote(b"x"), out.SendMessage((PEER,), b"\1vote")])
    host._journals.close()
    host.start()
    assert isinstance(await host.failed, Fault)
    assert wire.sent == []
    host.handle(events.PeerGone(PEER))
    assert len(replica.heard) == 1


async def test_a_mistake_of_our_own_stops_the_node(tmp_path):
    for error in (InvariantBroken("our mistake"), KeyError("ours too")):
        host, _, _ = build_host(tmp_path, error)
        host.start()
        assert await host.failed is error


async def test_an_error_over_a_peers_message_is_the_peers_and_the_node_goes_on(tmp_path):
    host, replica, wire = build_host(tmp_path, InvalidInput("nonsense"))
    host.on_peer_message(PEER, b"\1nonsense")
    host.handle(events.PeerGone(PEER))
    assert wire.penalised == [(PEER, "nonsense")]
    assert len(replica.heard) == 2
    assert not host.failed.done()


async def test_events_that_arise_while_effects_are_performed_wait_for_their_turn(tmp_path):
    host, replica, wire = build_host(
        tmp_path, [out.SendMessage((PEER,), b"\1first"), out.SendMessage((PEER,), b"\2second")]
    )
    send = wire.send

    def send_and_lose_the_peer(peers, payload):
        send(peers, payload)
        host.on_peer_gone(PEER, LinkEnd.STREAM_BROKEN, "the cable was pulled")

    wire.send = send_and_lose_the_peer
    host.start()
    assert [payload for _, payload, _ in wire.sent] == [b"\1first", b"\2second"]
    assert [type(event) for event in replica.heard] == [events.Started, events.PeerGone, events.PeerGone]


async def test_an_equal_timer_replaces_the_one_that_runs(tmp_path):
    host, replica, _ = build_host(tmp_path, [out.SetTimer("t", 20), out.SetTimer("u", 30), out.SetTimer("t", 60)])
    host.start()
    await asyncio.sleep(0.2)
    assert replica.heard[1:] == [events.TimerFired("u"), events.TimerFired("t")]


async def test_after_the_stop_no_timer_fires(tmp_path):
    host, replica, _ = build_host(tmp_path, [out.SetTimer("t", 10)])
    host.start()
    host.stop()
    await asyncio.sleep(0.05)
    assert len(replica.heard) == 1


async def test_a_list_of_neighbours_leaves_with_addresses_and_brings_some(tmp_path):
    message = encode_message(NeighboursMessage((Neighbour(PEER, ""),)))
    host, _, wire = build_host(tmp_path, [out.SendMessage((PEER,), message)])
    host.start()
    assert decode_message(wire.sent[0][1]).neighbours == (Neighbour(PEER, "10.0.0.1:9700"),)
    heard = NeighboursMessage((Neighbour(b"\2" * 32, "10.0.0.2:9700"),))
    host.on_peer_message(PEER, encode_message(heard))
    assert wire.discovered == [(PEER, b"\2" * 32, "10.0.0.2:9700")]


async def test_a_long_vote_journal_keeps_only_open_epochs_and_suspicions(tmp_path):
    journals = open_journals(tmp_path)
    size = len(GUARD_RECORD.encode(FloorRecord(1, 1)))
    old, new = GUARD_RECORD.encode(FloorRecord(1, 1)), GUARD_RECORD.encode(FloorRecord(2, 1))
    suspect = GUARD_RECORD.encode(SuspectRecord(7))
    journals.votes.rewrite([suspect, *[old] * (COMPACT_AT_BYTES // size), new])
    journals.on_epoch(lambda records: keep_from_epoch(records, 1))
    assert len(journals.vote_records) > 3
    journals.on_epoch(lambda records: keep_from_epoch(records, 2))
    closing = GUARD_RECORD.encode(FloorRecord(2, 0))
    assert journals.vote_records == (suspect, closing, new)
    journals.close()
    assert open_journals(tmp_path).vote_records == (suspect, closing, new)


async def test_a_long_duty_journal_is_rewritten_to_what_the_core_still_needs(tmp_path):
    journals = open_journals(tmp_path)
    journals.append_duty(b"first", list)
    big = bytes(COMPACT_AT_BYTES)
    journals.append_duty(big, lambda: [b"needed", big])
    assert journals.duty_records == (b"needed", big)
    journals.append_duty(b"next", list)
    assert journals.duty_records == (b"needed", big, b"next")


def test_the_clock_does_not_go_back(monkeypatch):
    clock = HostClock()
    times = iter([5_000_000_000, 4_000_000_000, 6_000_000_000])
    monkeypatch.setattr("flockchain.node.clock.time.time_ns", lambda: next(times))
    assert [clock.now_ms() for _ in range(3)] == [5_000, 5_000, 6_000]


@pytest.mark.parametrize("effect", list(vars(out).get("ReplicaEffect").__args__))
def test_every_effect_of_a_replica_is_performed(effect):
    from flockchain.node.host import _PERFORM

    assert effect in _PERFORM
