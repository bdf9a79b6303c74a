"""A node in its network: what it asks about its own votes, what it hears, and what a rewritten journal gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from flockchain.consensus.config import ConsensusKeys
from flockchain.consensus.guard import GUARD_RECORD, GuardState, SuspectRecord, VoteRecord
from flockchain.consensus.quarantine import Signing
from flockchain.consensus.timers import TimerKind
from flockchain.gossip import messages as wire
from flockchain.replica import events
from flockchain.replica.assembly import assemble_replica
from flockchain.replica.effects import ReplicaEffect, SendMessage, SetTimer, SigningChanged
from flockchain.replica.epochs import Identity
from flockchain.replica.ticks import ViewTimer
from flockchain.sim.checkers import Checker, Violation
from flockchain.sim.plan import build_calm_plan
from flockchain.sim.sim_folder import VOTES_NAME
from flockchain.sim.sim_node import SimNode
from flockchain.sim.world import World, build_world
from flockchain.storage import journals
from flockchain.storage.archive import Archive
from flockchain.storage.disk import DataDamaged
from flockchain.storage.memory_store import MemoryStore
from tests.kit.sim_worlds import GENESIS


class Watcher(Checker):
    """The epochs that nodes ask about, and every change of their signing."""

    def __init__(self) -> None:
        self.asked: list[tuple[SimNode, int, int]] = []  # who, about which epoch, at what height
        self.signing: list[tuple[SimNode, Signing]] = []

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        if isinstance(effect, SigningChanged):
            self.signing.append((node, effect.signing))
        if isinstance(effect, SendMessage) and effect.payload[0] == wire.MessageKind.OWN_VOTES_REQUEST:
            message = wire.decode_message(effect.payload)
            assert isinstance(message, wire.OwnVotesRequest)
            self.asked.append((node, message.epoch, node.get_height()))
        return ()


def start() -> tuple[World, Watcher]:
    world, watcher = build_world(1, GENESIS, build_calm_plan(1_000), nodes=4), Watcher()
    world.checkers.append(watcher)
    world.start()
    world.advance(1_000)
    return world, watcher


def test_a_journal_that_is_rewritten_at_every_block_can_be_read_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """One event makes a block final and signs in the next view: the rewritten journal has that vote before its turn."""
    compact = journals.Journals.compact_votes

    def compact_at_once(held: journals.Journals, get_records: Callable[[], Iterable[bytes]]) -> None:
        monkeypatch.setattr(held, "_votes_compact_at", 0)
        compact(held, get_records)

    monkeypatch.setattr(journals.Journals, "compact_votes", compact_at_once)
    world, _ = start()
    twice = 0
    for _ in range(400):
        world.advance(10)
        for node in world.nodes:
            assert node.replica is not None
            records = node.folder.require_journals().vote_records
            restored = GuardState.restore(node.replica.core.epoch, records)
            votes = [record for record in map(GUARD_RECORD.decode, records) if isinstance(record, VoteRecord)]
            twice += len(votes) - len({(vote.epoch, vote.view, vote.kind) for vote in votes})
            assert {vote.view for vote in restored.get_votes()} <= {vote.view for vote in votes}
    assert twice > 0


def test_when_a_quarantine_ends_the_question_is_about_the_epoch_that_begins() -> None:
    world, watcher = start()
    node = world.nodes[0]
    node.crash()
    suspect = GUARD_RECORD.encode(SuspectRecord(world.now_ms))
    held, _ = node.folder.open(world.now_ms)
    held.votes.append(suspect)
    node.folder.crash()
    node.boot()
    assert node.replica is not None
    assert node.replica.own_votes.signing is Signing.QUARANTINED
    watcher.asked.clear()
    assert world.advance_until(lambda: (node, Signing.FREE) in watcher.signing[-1:], 60_000)
    epochs = {epoch for who, epoch, _ in watcher.asked if who is node}
    assert epochs == {node.replica.core.epoch}


@pytest.mark.parametrize(("signer", "has_seat"), [(0, True), (1, False)])
def test_whoever_has_not_the_key_of_the_epochs_set_has_no_seat(signer: int, has_seat: bool) -> None:
    """An account that left and came back with another key is still in the sets that were fixed before."""
    world, _ = start()
    node = world.nodes[0]
    identity = Identity(node.account, ConsensusKeys(world.nodes[signer].secrets.consensus_secret))
    replica = assemble_replica(world.genesis, node.bls, Archive(MemoryStore()), identity, world.now_ms)
    effects = replica.on_event(events.Started(), world.now_ms)
    timers = [effect.timer for effect in effects if isinstance(effect, SetTimer)]
    kinds = {timer.timer.kind for timer in timers if isinstance(timer, ViewTimer)}
    assert (TimerKind.VIEW in kinds) is has_seat


def test_a_damaged_journal_that_was_moved_away_silences_also_before_the_first_block() -> None:
    """Nobody remembers the vote either: whoever heard it has started anew since."""
    world = build_world(1, GENESIS, build_calm_plan(1_000), nodes=4)
    node, others = world.nodes[0], world.nodes[1:]
    world.start()
    while not any(map(is_vote, node.vote_journal)):
        world.advance(5)
    assert node.get_height() == 0
    node.crash()
    node.folder.disk.flip(VOTES_NAME, len(node.folder.disk.read(VOTES_NAME)) - 1, 0)
    node.boot()
    assert isinstance(node.folder.stopped_by, DataDamaged)
    for other in others:
        other.crash()
        other.boot()
    node.boot()
    assert node.replica is not None
    assert node.replica.own_votes.signing is Signing.QUARANTINED
    assert world.advance_until(lambda: node.replica.own_votes.signing is Signing.FREE, 60_000)
    assert node.get_height() > 0
    assert world.violations == []


def is_vote(encoded: bytes) -> bool:
    return isinstance(GUARD_RECORD.decode(encoded), VoteRecord)
