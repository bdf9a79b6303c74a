"""The last block of an epoch: never built upon, proposed again until it is final; and then all is quiet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flockchain.consensus import effects as fx
from flockchain.consensus import events as ev
from flockchain.consensus.timers import TimerKind
from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.block import Block
from flockchain.primitives.numbers import ZERO_HASH, View
from flockchain.primitives.vote import VoteKind
from tests.kit.consensus_playbook import Playbook, Room, get_node_id, only

NOTARIZE, NULLIFY, FINALIZE = VoteKind


@pytest.fixture
def room() -> Room:
    return Room.build(last_height=1)


@pytest.fixture
def last(room: Room) -> Block:
    return room.build_block(1)


def start(room: Room, me: int | None) -> Playbook:
    book = Playbook(room, me)
    book.start()
    return book


def reach_view_two(room: Room, book: Playbook, last: Block) -> list[fx.Effect]:
    """The last block is notarized in view 1 and checked, but not final."""
    book.see(room.propose(1, last))
    effects = book.approve(last)
    return effects + book.hear(room.certify(NOTARIZE, 1, compute_block_hash(last.header)))


def pick_follower(room: Room) -> int:
    return next(index for index in range(4) if index not in (room.get_leader(1), room.get_leader(2)))


def test_the_next_leader_proposes_the_last_block_again(last: Block) -> None:
    room = next(
        room
        for room in (Room.build(last_height=1, seed=bytes([n])) for n in range(50))
        if room.get_leader(1) != room.get_leader(2)
    )
    block = room.build_block(1)
    book = start(room, room.get_leader(2))
    effects = reach_view_two(room, book, block)
    assert only(effects, fx.BuildBlock) == []
    assert only(effects, fx.BroadcastProposal)[0].proposal == room.propose(2, block, parent_view=1)


def test_a_follower_notarizes_the_repetition_without_another_check(room: Room, last: Block) -> None:
    book = start(room, pick_follower(room))
    reach_view_two(room, book, last)
    effects = book.see(room.propose(2, last, parent_view=1))
    assert only(effects, fx.CheckBlock) == []
    votes = [(each.vote.kind, each.vote.view, each.vote.block_hash) for each in only(effects, fx.BroadcastVote)]
    assert votes == [(NOTARIZE, 2, compute_block_hash(last.header))]


def test_the_body_of_a_repetition_is_journaled_once(room: Room, last: Block) -> None:
    book = start(room, pick_follower(room))
    reach_view_two(room, book, last)
    effects = book.see(room.propose(2, last, parent_view=1))
    assert [each.record.block for each in only(effects, fx.Journal)] == [None]  # type: ignore[union-attr]
    assert book.restart().core.get_guard_records() == book.core.get_guard_records()


def test_the_repetition_is_final_in_its_own_view(room: Room, last: Block) -> None:
    book = start(room, pick_follower(room))
    reach_view_two(room, book, last)
    block_hash = compute_block_hash(last.header)
    certificate = room.certify(FINALIZE, 2, block_hash)
    effects = book.hear(certificate)
    assert only(effects, fx.FinalizeBlocks) == [fx.FinalizeBlocks((block_hash,), certificate)]
    assert book.core.is_finished


def test_nothing_is_built_upon_the_last_block(room: Room, last: Block) -> None:
    book = start(room, pick_follower(room))
    reach_view_two(room, book, last)
    child = room.build_block(2, compute_block_hash(last.header), 42)
    effects = book.see(room.propose(2, child, parent_view=1))
    assert only(effects, fx.CheckBlock) == []
    assert [each.vote.kind for each in only(effects, fx.BroadcastVote)] == [NULLIFY]


def test_only_the_notarized_block_may_be_proposed_again(room: Room, last: Block) -> None:
    book = start(room, pick_follower(room))
    reach_view_two(room, book, last)
    effects = book.see(room.propose(2, room.build_block(1, tag=1), parent_view=1))
    assert [each.vote.kind for each in only(effects, fx.BroadcastVote)] == [NULLIFY]


def test_a_block_in_the_middle_of_an_epoch_is_not_proposed_again() -> None:
    room = Room.build()
    block = room.build_block(1)
    book = start(room, pick_follower(room))
    reach_view_two(room, book, block)
    effects = book.see(room.propose(2, block, parent_view=1))
    assert [each.vote.kind for each in only(effects, fx.BroadcastVote)] == [NULLIFY]


def test_a_finished_core_enters_no_view_signs_nothing_and_sets_no_timer(room: Room, last: Block) -> None:
    book = start(room, pick_follower(room))
    reach_view_two(room, book, last)
    book.hear(room.certify(FINALIZE, 1, compute_block_hash(last.header)))
    view = book.core.view
    assert book.fire(TimerKind.VIEW) == book.fire(TimerKind.RETRY) == []
    assert book.hear(room.certify(NULLIFY, view)) == []
    assert book.see(room.propose(view, last, parent_view=1)) == []
    assert book.core.view == view


@pytest.mark.parametrize("view", [1, 2, 9])
def test_a_finished_core_answers_whoever_is_behind_in_any_view(room: Room, last: Block, view: int) -> None:
    book = start(room, pick_follower(room))
    reach_view_two(room, book, last)
    block_hash = compute_block_hash(last.header)
    certificate = room.certify(FINALIZE, 1, block_hash)
    book.hear(certificate)
    peer = room.get_leader(1)
    answer = [fx.SendCertificates(get_node_id(peer), (certificate,))]
    assert book.tell(ev.VoteReceived(room.sign(NULLIFY, view, ZERO_HASH, peer), get_node_id(peer))) == answer
    assert book.tell(ev.CertificatesRequested(View(view), get_node_id(peer))) == answer
    assert book.tell(ev.BlockRequested(block_hash, get_node_id(peer))) == [fx.SendBlock(get_node_id(peer), last)]


def test_a_repetition_whose_parent_view_is_not_nullified_after_waits(room: Room, last: Block) -> None:
    book = start(room, None)
    reach_view_two(room, book, last)
    book.hear(room.certify(NULLIFY, 3))
    effects = book.see(room.propose(4, last, parent_view=1))
    assert only(effects, fx.RequestCertificates) == [fx.RequestCertificates(View(2))]


def test_a_repetition_is_told_from_the_original_by_its_view(room: Room, last: Block) -> None:
    proposal = room.propose(2, last, parent_view=1)
    assert proposal.signature != room.propose(1, last).signature
    assert replace(proposal, view=View(1)) != room.propose(1, last)
