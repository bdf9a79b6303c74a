"""A proposal that was changed on the way, where its leader did not sign: that must not cost the leader the view."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flockchain.consensus import effects as fx
from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.block import Block
from flockchain.primitives.numbers import View
from flockchain.primitives.vote import Proposal, VoteKind
from tests.kit.consensus_playbook import Playbook, Room, only


@pytest.fixture
def room() -> Room:
    return Room.build()


def start(room: Room) -> Playbook:
    """A follower of the leaders of the first five views."""
    leaders = {room.get_leader(view) for view in range(1, 6)}
    index = next((at for at in range(4) if at not in leaders), None)
    book = Playbook(room, index if index is not None else 0)
    book.start()
    return book


def get_kinds(effects: list[fx.Effect]) -> list[VoteKind]:
    return [each.vote.kind for each in only(effects, fx.BroadcastVote)]


def reach_view_three(room: Room, book: Playbook, *, with_parent: bool) -> tuple[Block, Proposal]:
    """View 1 notarized a block (which the node may have missed), view 2 nothing; view 3's leader builds upon view 1."""
    parent = room.build_block(1)
    parent_hash = compute_block_hash(parent.header)
    if with_parent:
        book.see(room.propose(1, parent))
        book.approve(parent)
        book.hear(room.certify(VoteKind.NOTARIZE, 1, parent_hash))
    book.hear(room.certify(VoteKind.NULLIFY, 2))
    child = room.build_block(3, parent_hash, 42)
    return child, room.propose(3, child, parent_view=1)


@pytest.mark.parametrize("named", [0, 2, 3, 4, 2**40, 2**64 - 1])
def test_another_parent_view_on_the_way_changes_nothing(room: Room, named: int) -> None:
    book = start(room)
    child, proposal = reach_view_three(room, book, with_parent=True)
    effects = book.see(replace(proposal, parent_view=View(named)))
    assert VoteKind.NULLIFY not in get_kinds(effects)
    assert [check.block for check in only(effects, fx.CheckBlock)] == [child]
    assert get_kinds(book.approve(child)) == [VoteKind.NOTARIZE]


@pytest.mark.parametrize("named", [0, 2, 3, 4, 2**40, 2**64 - 1])
def test_nor_does_it_when_the_parent_is_not_known_yet(room: Room, named: int) -> None:
    book = start(room)
    child, proposal = reach_view_three(room, book, with_parent=False)
    effects = book.see(replace(proposal, parent_view=View(named)))
    assert get_kinds(effects) == []
    assert [wanted.from_view for wanted in only(effects, fx.RequestCertificates)] == [2 if named == 2 else 1]
    parent = room.build_block(1)
    book.hear(room.certify(VoteKind.NOTARIZE, 1, compute_block_hash(parent.header)))
    book.see(room.propose(1, parent))
    book.approve(parent)
    assert get_kinds(book.approve(child)) == [VoteKind.NOTARIZE]
