"""Our signature on what we have no record of: nothing more is signed, wherever in the epoch it turns up."""

from __future__ import annotations

import pytest

from flockchain.consensus import effects as fx
from flockchain.consensus import events as ev
from flockchain.consensus.timers import TimerKind
from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.limits import VIEWS_AHEAD_MAX, VIEWS_BEHIND_KEPT
from flockchain.primitives.numbers import ZERO_HASH, View
from flockchain.primitives.vote import Vote, VoteKind
from tests.kit.consensus_playbook import Playbook, Room, get_node_id, only

NOTARIZE, NULLIFY, FINALIZE = VoteKind


@pytest.fixture
def room() -> Room:
    return Room.build()


@pytest.fixture
def follower(room: Room) -> Playbook:
    book = Playbook(room, next(index for index in range(4) if index != room.get_leader(1)))
    book.start()
    return book


def build_own(book: Playbook, view: int) -> Vote:
    assert book.me is not None
    return book.room.sign(NULLIFY, view, ZERO_HASH, book.me)


def test_a_strange_vote_of_ours_mutes_before_anything_else_is_signed(room: Room, follower: Playbook) -> None:
    heard = follower.tell(ev.VoteReceived(build_own(follower, 1), get_node_id(0)))
    assert only(heard, fx.OwnVoteHeard) == [fx.OwnVoteHeard(NULLIFY, View(1), ZERO_HASH)]
    block = room.build_block(1)
    assert only(follower.hear(room.certify(NOTARIZE, 1, compute_block_hash(block.header))), fx.BroadcastVote) == []
    assert only(follower.fire(TimerKind.VIEW), fx.BroadcastVote) == []
    follower.tell(ev.SigningAllowed(is_allowed=True))
    assert only(follower.log, fx.BroadcastVote) != []


def test_a_strange_certificate_of_ours_is_not_answered_with_a_vote(room: Room, follower: Playbook) -> None:
    assert follower.me is not None
    signers = (follower.me, *[index for index in range(4) if index != follower.me][:2])
    heard = follower.hear(room.certify(NOTARIZE, 1, compute_block_hash(room.build_block(1).header), signers))
    assert len(only(heard, fx.OwnVoteHeard)) == 1
    assert only(heard, fx.BroadcastVote) == []


@pytest.mark.parametrize("view", [1, 2 + VIEWS_BEHIND_KEPT, 3 + 2 * VIEWS_BEHIND_KEPT + VIEWS_AHEAD_MAX])
def test_a_strange_vote_is_heard_however_far_away_its_view_is(room: Room, follower: Playbook, view: int) -> None:
    for before in range(1, 2 + 2 * VIEWS_BEHIND_KEPT):
        follower.hear(room.certify(NULLIFY, before, signers=[each for each in range(4) if each != follower.me]))
    heard = follower.tell(ev.VoteReceived(build_own(follower, view), None))
    assert [effect.view for effect in only(heard, fx.OwnVoteHeard)] == [view]


def test_a_forged_vote_in_our_name_stops_nothing(follower: Playbook) -> None:
    assert follower.me is not None
    true = build_own(follower, 1)
    forged = Vote(true.kind, true.epoch, true.view, true.block_hash, true.signer, bytes(96))
    heard = follower.tell(ev.VoteReceived(forged, get_node_id(0)))
    assert only(heard, fx.OwnVoteHeard) == []
    assert [each.vote for each in only(follower.fire(TimerKind.LEADER), fx.BroadcastVote)] == [true]
