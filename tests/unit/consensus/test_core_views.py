"""The life of a view: propose, notarize, nullify, leave, finalize; and the order of what the host is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flockchain.consensus import effects as fx
from flockchain.consensus import events as ev
from flockchain.consensus.guard import VoteRecord
from flockchain.consensus.timers import Timer, TimerKind
from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.block import Block
from flockchain.primitives.errors import InvariantBroken
from flockchain.primitives.numbers import ZERO_HASH, View
from flockchain.primitives.vote import VoteKind
from tests.kit.consensus_playbook import ANCHOR, Playbook, Room, get_node_id, only

NOTARIZE, NULLIFY, FINALIZE = VoteKind


@pytest.fixture
def room() -> Room:
    return Room.build()


@pytest.fixture
def follower(room: Room) -> Playbook:
    """A started member that leads neither view 1 nor view 2."""
    me = next(index for index in range(4) if index not in (room.get_leader(1), room.get_leader(2)))
    book = Playbook(room, me)
    book.start()
    return book


@pytest.fixture
def block(room: Room) -> Block:
    return room.build_block(1)


def votes(effects: list[fx.Effect]) -> list[tuple[VoteKind, int, bytes]]:
    return [(each.vote.kind, each.vote.view, each.vote.block_hash) for each in only(effects, fx.BroadcastVote)]


def test_nothing_happens_before_the_start(room: Room, block: Block) -> None:
    book = Playbook(room, 0)
    assert book.see(room.propose(1, block)) == []
    assert book.hear(room.certify(NULLIFY, 1)) == []
    assert book.core.view == 0


def test_a_core_starts_once(follower: Playbook) -> None:
    with pytest.raises(InvariantBroken):
        follower.start()


def test_start_enters_view_one_and_sets_its_timers(room: Room) -> None:
    effects = Playbook(room, (room.get_leader(1) + 1) % 4).start()
    assert effects == [
        fx.EnteredView(View(1)),
        fx.SetTimer(Timer(TimerKind.LEADER, View(1)), 200),
        fx.SetTimer(Timer(TimerKind.VIEW, View(1)), 400),
        fx.SetTimer(Timer(TimerKind.RETRY, View(1)), 300),
    ]


def test_the_leader_builds_upon_the_anchor_and_journals_before_it_proposes(room: Room, block: Block) -> None:
    book = Playbook(room, room.get_leader(1))
    assert only(book.start(), fx.BuildBlock) == [fx.BuildBlock(View(1), View(0), ANCHOR)]
    effects = book.tell(ev.BlockBuilt(View(1), block))
    assert [type(effect) for effect in effects] == [fx.Journal, fx.BroadcastProposal]
    record = only(effects, fx.Journal)[0].record
    assert isinstance(record, VoteRecord)
    assert (record.kind, record.view, record.block) == (NOTARIZE, 1, block)
    assert only(effects, fx.BroadcastProposal)[0].proposal == room.propose(1, block)


def test_a_leader_proposes_one_block_however_often_the_host_answers(room: Room, block: Block) -> None:
    book = Playbook(room, room.get_leader(1))
    book.start()
    book.tell(ev.BlockBuilt(View(1), block))
    assert book.tell(ev.BlockBuilt(View(1), room.build_block(1, tag=1))) == []


def test_a_built_block_must_be_the_one_that_was_asked_for(room: Room) -> None:
    book = Playbook(room, room.get_leader(1))
    book.start()
    with pytest.raises(InvariantBroken):
        book.tell(ev.BlockBuilt(View(1), room.build_block(1, parent=ZERO_HASH)))


def test_a_leader_that_cannot_build_nullifies_at_once(room: Room) -> None:
    book = Playbook(room, room.get_leader(1))
    book.start()
    assert votes(book.tell(ev.BuildFailed(View(1)))) == [(NULLIFY, 1, ZERO_HASH)]


def test_a_proposal_is_checked_once_and_notarized_when_valid(room: Room, follower: Playbook, block: Block) -> None:
    block_hash = compute_block_hash(block.header)
    assert follower.see(room.propose(1, block)) == [fx.CheckBlock(View(1), block, block_hash)]
    assert follower.see(room.propose(1, block)) == []
    effects = follower.approve(block)
    assert [type(effect) for effect in effects] == [fx.Journal, fx.BroadcastVote]
    assert votes(effects) == [(NOTARIZE, 1, block_hash)]
    assert follower.approve(block) == []


def test_an_invalid_proposal_is_nullified_without_waiting(room: Room, follower: Playbook, block: Block) -> None:
    follower.see(room.propose(1, block))
    assert votes(follower.approve(block, is_valid=False)) == [(NULLIFY, 1, ZERO_HASH)]
    assert follower.approve(block) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"height": 42},
        {"height": 40},
        {"parent": ZERO_HASH},
        {"view": 2},
        {"epoch": 4},
        {"proposer": bytes(32)},
    ],
)
def test_a_proposal_that_breaks_the_rules_of_form_is_never_checked(
    room: Room, follower: Playbook, block: Block, fields: dict[str, Any]
) -> None:
    bad = replace(block, header=replace(block.header, **fields))
    effects = follower.see(room.propose(1, bad))
    assert only(effects, fx.CheckBlock) == []
    assert votes(effects) == [(NULLIFY, 1, ZERO_HASH)]


def test_a_notarization_is_passed_on_answered_with_finalize_and_ends_the_view(
    room: Room, follower: Playbook, block: Block
) -> None:
    follower.see(room.propose(1, block))
    block_hash = compute_block_hash(block.header)
    others = [index for index in range(4) if index != follower.me]
    certificate = room.certify(NOTARIZE, 1, block_hash, others)
    effects = follower.hear(certificate)
    assert [type(effect) for effect in effects[:4]] == [
        fx.BroadcastCertificate, fx.Journal, fx.BroadcastVote, fx.EnteredView,
    ]  # fmt: skip
    assert votes(effects) == [(FINALIZE, 1, block_hash)]
    record = only(effects, fx.Journal)[0].record
    assert isinstance(record, VoteRecord)
    assert record.certificate == certificate
    assert follower.core.view == 2


def test_votes_of_a_quorum_make_the_certificate(room: Room, follower: Playbook, block: Block) -> None:
    block_hash = compute_block_hash(block.header)
    follower.see(room.propose(1, block))  # the leader's vote
    follower.approve(block)  # ours
    other = next(index for index in range(4) if index not in (follower.me, room.get_leader(1)))
    effects = follower.tell(ev.VoteReceived(room.sign(NOTARIZE, 1, block_hash, other), get_node_id(other)))
    assert only(effects, fx.BroadcastCertificate)[0].certificate.kind is NOTARIZE
    assert votes(effects) == [(FINALIZE, 1, block_hash)]


def test_after_nullify_neither_notarize_nor_finalize(room: Room, follower: Playbook, block: Block) -> None:
    assert votes(follower.fire(TimerKind.LEADER)) == [(NULLIFY, 1, ZERO_HASH)]
    follower.see(room.propose(1, block))
    assert votes(follower.approve(block)) == []
    effects = follower.hear(room.certify(NOTARIZE, 1, compute_block_hash(block.header)))
    assert votes(effects) == []
    assert follower.core.view == 2


def test_after_finalize_the_view_is_never_nullified(room: Room, follower: Playbook, block: Block) -> None:
    follower.see(room.propose(1, block))
    follower.hear(room.certify(NOTARIZE, 1, compute_block_hash(block.header)))
    assert votes(follower.fire(TimerKind.VIEW, 1)) == []
    assert votes(follower.approve(block, is_valid=False)) == []


def test_what_we_know_to_be_invalid_gets_no_finalize(room: Room, follower: Playbook, block: Block) -> None:
    follower.see(room.propose(1, block))
    follower.approve(block, is_valid=False)
    assert votes(follower.hear(room.certify(NOTARIZE, 1, compute_block_hash(block.header)))) == []


def test_a_proposal_in_time_leaves_only_the_longer_timeout(room: Room, follower: Playbook, block: Block) -> None:
    follower.see(room.propose(1, block))
    assert follower.fire(TimerKind.LEADER) == []
    assert votes(follower.fire(TimerKind.VIEW)) == [(NULLIFY, 1, ZERO_HASH)]


def test_a_view_is_nullified_once(follower: Playbook) -> None:
    follower.fire(TimerKind.LEADER)
    assert follower.fire(TimerKind.VIEW) == []


def test_a_nullification_opens_the_next_view_upon_the_same_parent(room: Room) -> None:
    view = next(v for v in range(2, 50) if room.get_leader(v) != room.get_leader(v - 1))
    book = Playbook(room, room.get_leader(view))
    book.start()
    for before in range(1, view):
        effects = book.hear(room.certify(NULLIFY, before))
    assert only(effects, fx.BuildBlock) == [fx.BuildBlock(View(view), View(0), ANCHOR)]


def test_timers_of_a_view_that_is_over_say_nothing(room: Room, follower: Playbook) -> None:
    follower.hear(room.certify(NULLIFY, 1))
    for kind in (TimerKind.LEADER, TimerKind.VIEW, TimerKind.RETRY):
        assert follower.fire(kind, 1) == []


def test_a_late_answer_about_an_old_view_is_harmless(room: Room, follower: Playbook, block: Block) -> None:
    follower.see(room.propose(1, block))
    follower.hear(room.certify(NULLIFY, 1))
    assert follower.approve(block) == []
    assert follower.core.view == 2


def test_timeouts_grow_while_nothing_is_final_and_shrink_with_finality(room: Room, follower: Playbook) -> None:
    for view in range(1, 8):
        effects = follower.hear(room.certify(NULLIFY, view))
    grown = {each.timer.kind: each.after_ms for each in only(effects, fx.SetTimer)}
    assert grown[TimerKind.LEADER] == 200 << 5
    assert grown[TimerKind.VIEW] == 400 << 5
    block = room.build_block(8)
    follower.see(room.propose(8, block))
    effects = follower.hear(room.certify(FINALIZE, 8, compute_block_hash(block.header)))
    shrunk = {each.timer.kind: each.after_ms for each in only(effects, fx.SetTimer)}
    assert shrunk[TimerKind.LEADER] == 200


def test_a_finalization_hands_over_its_block(room: Room, follower: Playbook, block: Block) -> None:
    block_hash = compute_block_hash(block.header)
    follower.see(room.propose(1, block))
    follower.hear(room.certify(NOTARIZE, 1, block_hash))
    certificate = room.certify(FINALIZE, 1, block_hash)
    effects = follower.hear(certificate)
    assert effects == [fx.BroadcastCertificate(certificate), fx.FinalizeBlocks((block_hash,), certificate)]
    assert follower.core.finalized_view == 1


def test_a_chain_of_one_validator_makes_progress_alone() -> None:
    room = Room.build((5,))
    book = Playbook(room, 0)
    effects = book.start()
    parent, final = ANCHOR, []
    for view in range(1, 6):
        assert only(effects, fx.BuildBlock)[0].parent_hash == parent
        block = room.build_block(view, parent, 40 + view)
        effects = book.tell(ev.BlockBuilt(View(view), block))
        parent = compute_block_hash(block.header)
        final += [block_hash for each in only(effects, fx.FinalizeBlocks) for block_hash in each.block_hashes]
        assert final[-1] == parent


def test_a_node_without_a_seat_follows_and_signs_nothing(room: Room, block: Block) -> None:
    book = Playbook(room, None)
    book.start()
    book.see(room.propose(1, block))
    book.approve(block)
    block_hash = compute_block_hash(block.header)
    book.hear(room.certify(NOTARIZE, 1, block_hash))
    book.hear(room.certify(FINALIZE, 1, block_hash))
    book.hear(room.certify(NULLIFY, 2))
    assert book.core.finalized_view == 1
    assert book.core.view == 3
    assert only(book.log, fx.FinalizeBlocks)
    assert not only(book.log, fx.BroadcastVote) + only(book.log, fx.BroadcastProposal) + only(book.log, fx.Journal)
