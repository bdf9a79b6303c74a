"""A restart in the middle of a view: the same words again, never others, and nothing lost though all nodes stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flockchain.consensus import Core, GuardState
from flockchain.consensus import effects as fx
from flockchain.consensus import events as ev
from flockchain.consensus.guard import GUARD_RECORD
from flockchain.consensus.timers import TimerKind
from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.errors import InvariantBroken
from flockchain.primitives.numbers import ZERO_HASH, Epoch, View
from flockchain.primitives.vote import VoteKind
from tests.kit.consensus_playbook import Playbook, Room, get_node_id, only

NOTARIZE, NULLIFY, FINALIZE = VoteKind


@pytest.fixture
def room() -> Room:
    return Room.build()


@pytest.fixture
def follower(room: Room) -> Playbook:
    me = next(index for index in range(4) if index not in (room.get_leader(1), room.get_leader(2)))
    book = Playbook(room, me)
    book.start()
    return book


@pytest.fixture
def leader(room: Room) -> Playbook:
    book = Playbook(room, room.get_leader(1))
    book.start()
    return book


def test_a_notarize_is_said_again_and_no_other_block_gets_one(room: Room, follower: Playbook) -> None:
    block, other = room.build_block(1), room.build_block(1, tag=1)
    follower.see(room.propose(1, block))
    said = only(follower.approve(block), fx.BroadcastVote)
    again = follower.restart()
    assert only(again.start(), fx.BroadcastVote) == said
    again.see(room.propose(1, other))
    assert only(again.approve(other), fx.BroadcastVote) == []
    assert again.core.view == 1


def test_a_leader_proposes_the_same_block_again_and_builds_no_second_one(room: Room, leader: Playbook) -> None:
    block = room.build_block(1)
    said = only(leader.tell(ev.BlockBuilt(View(1), block)), fx.BroadcastProposal)
    again = leader.restart()
    effects = again.start()
    assert only(effects, fx.BroadcastProposal) == said
    assert only(effects, fx.BuildBlock) == []
    assert only(again.tell(ev.BlockBuilt(View(1), room.build_block(1, tag=1))), fx.BroadcastProposal) == []


def test_a_leader_that_stopped_before_it_signed_may_build_afresh(room: Room, leader: Playbook) -> None:
    again = leader.restart()
    assert only(again.start(), fx.BuildBlock)
    assert only(again.tell(ev.BlockBuilt(View(1), room.build_block(1, tag=1))), fx.BroadcastProposal)


def test_after_a_restart_a_nullified_view_is_not_finalized(room: Room, follower: Playbook) -> None:
    follower.fire(TimerKind.LEADER)
    again = follower.restart()
    assert [each.vote.kind for each in only(again.start(), fx.BroadcastVote)] == [NULLIFY]
    effects = again.hear(room.certify(NOTARIZE, 1, compute_block_hash(room.build_block(1).header)))
    assert only(effects, fx.BroadcastVote) == []


def test_after_a_restart_a_finalized_view_is_over_and_its_certificate_answers_those_in_it(
    room: Room, follower: Playbook
) -> None:
    certificate = room.certify(NOTARIZE, 1, compute_block_hash(room.build_block(1).header))
    follower.hear(certificate)
    again = follower.restart()
    effects = again.start()
    assert again.core.view == 2
    assert fx.BroadcastCertificate(certificate, is_repeated=True) in effects
    peer = room.get_leader(1)
    effects = again.tell(ev.VoteReceived(room.sign(NULLIFY, 1, ZERO_HASH, peer), get_node_id(peer)))
    assert effects == [fx.SendCertificates(get_node_id(peer), (certificate,))]


def test_the_bodies_that_we_notarized_survive_and_are_checked_anew(room: Room, follower: Playbook) -> None:
    block = room.build_block(1)
    block_hash = compute_block_hash(block.header)
    follower.see(room.propose(1, block))
    follower.approve(block)
    again = follower.restart()
    again.start()
    effects = again.hear(room.certify(FINALIZE, 1, block_hash))
    assert [each.block_hash for each in only(effects, fx.CheckBlock)] == [block_hash]
    assert [each.block_hashes for each in only(effects, fx.FinalizeBlocks)] == [(block_hash,)]


def test_nullifications_survive(room: Room, follower: Playbook) -> None:
    for view in (1, 2, 3):
        follower.hear(room.certify(NULLIFY, view))
    again = follower.restart()
    again.start()
    assert again.core.view == 4


def test_a_restart_from_disk_goes_on_above_the_last_final_block(room: Room, follower: Playbook) -> None:
    block = room.build_block(1)
    certificate = room.certify(FINALIZE, 1, compute_block_hash(block.header))
    follower.see(room.propose(1, block))
    follower.hear(certificate)
    again = follower.restart()
    assert again.tell(ev.SyncedTo(block, certificate)) == []
    effects = again.start()
    assert (again.core.view, again.core.finalized_view) == (2, 1)
    assert only(effects, fx.FinalizeBlocks) == []


def test_a_compacted_journal_says_the_same(room: Room, follower: Playbook) -> None:
    first, second = room.build_block(1), room.build_block(2, compute_block_hash(room.build_block(1).header), 42)
    follower.see(room.propose(1, first))
    follower.approve(first)
    follower.hear(room.certify(NOTARIZE, 1, compute_block_hash(first.header)))
    certificate = room.certify(FINALIZE, 1, compute_block_hash(first.header))
    follower.hear(certificate)
    follower.see(room.propose(2, second, parent_view=1))
    said = only(follower.approve(second), fx.BroadcastVote)
    compacted = [GUARD_RECORD.encode(record) for record in follower.core.get_guard_records()]
    assert len(compacted) < len(follower.journal)
    again = Playbook(room, follower.me, compacted)
    again.tell(ev.SyncedTo(first, certificate))
    assert only(again.start(), fx.BroadcastVote) == said


def test_even_with_an_older_disk_nothing_is_signed_up_to_the_journals_floor(room: Room, follower: Playbook) -> None:
    block = room.build_block(1)
    follower.see(room.propose(1, block))
    follower.hear(room.certify(FINALIZE, 1, compute_block_hash(block.header)))
    compacted = [GUARD_RECORD.encode(record) for record in follower.core.get_guard_records()]
    again = Playbook(room, follower.me, compacted)
    again.start()
    assert again.core.view == 2


def test_records_of_another_epoch_say_nothing(room: Room, follower: Playbook) -> None:
    follower.fire(TimerKind.LEADER)
    guard = GuardState.restore(Epoch(4), follower.journal)
    assert guard.get_votes() == ()
    assert guard.may_sign(FINALIZE, View(1))


def test_a_core_takes_no_guard_of_another_epoch(room: Room) -> None:
    with pytest.raises(InvariantBroken):
        Core(room.config, replace(room.context, my_index=None), GuardState(Epoch(4)), None)


def test_the_network_outlives_the_restart_of_every_node_at_once(room: Room) -> None:
    books = [Playbook(room, index) for index in range(3)]
    block = room.build_block(1)
    block_hash = compute_block_hash(block.header)
    notarization = room.certify(NOTARIZE, 1, block_hash, signers=(0, 1, 3))
    for book in books:
        book.start()
    holder = next(book for book in books if book.me != room.get_leader(1))
    holder.see(room.propose(1, block))
    holder.approve(block)
    holder.hear(notarization)
    again = [book.restart() for book in books]
    outbox = {book.me: book.start() for book in again}
    sent = [each.certificate for each in only(outbox[holder.me], fx.BroadcastCertificate)]
    assert sent == [notarization]
    kept = next(book for book in again if book.me == holder.me)
    assert kept.tell(ev.BlockRequested(block_hash, get_node_id(3))) == [fx.SendBlock(get_node_id(3), block)]
