"""What a core does without something it needs: it asks, again and again, and goes on as soon as it is there."""

from __future__ import annotations

import pytest

from flockchain.consensus import effects as fx
from flockchain.consensus import events as ev
from flockchain.consensus.certificates import SafetyBroken
from flockchain.consensus.timers import TimerKind
from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.block import Block
from flockchain.primitives.numbers import Hash, View
from flockchain.primitives.vote import VoteKind
from tests.kit.consensus_playbook import ANCHOR, Playbook, Room, get_node_id, only

NOTARIZE, NULLIFY, FINALIZE = VoteKind
PEER = get_node_id(0)


@pytest.fixture
def room() -> Room:
    return Room.build()


@pytest.fixture
def book(room: Room) -> Playbook:
    """A started member that leads none of the views 1 to 4."""
    leaders = {room.get_leader(view) for view in range(1, 5)}
    me = next((index for index in range(4) if index not in leaders), None)
    playbook = Playbook(room, me)
    playbook.start()
    return playbook


def build_chain(room: Room, length: int) -> list[tuple[Hash, Block]]:
    """Blocks of the views 1, 2, …, each upon the one before."""
    chain: list[tuple[Hash, Block]] = []
    for view in range(1, length + 1):
        parent = chain[-1][0] if chain else ANCHOR
        block = room.build_block(view, parent, 40 + view)
        chain.append((compute_block_hash(block.header), block))
    return chain


def test_a_proposal_before_its_parents_notarization_waits_for_it(room: Room, book: Playbook) -> None:
    (first_hash, first), (second_hash, second) = build_chain(room, 2)
    book.hear(room.certify(NULLIFY, 1))
    effects = book.see(room.propose(2, second, parent_view=1))
    assert only(effects, fx.RequestCertificates) == [fx.RequestCertificates(View(1))]
    effects = book.hear(room.certify(NOTARIZE, 1, first_hash))
    assert only(effects, fx.RequestBlock) == [fx.RequestBlock(first_hash)]
    effects = book.tell(ev.BlockReceived(first, PEER))
    assert [each.block_hash for each in only(effects, fx.CheckBlock)] == [first_hash, second_hash]


def test_a_proposal_before_the_nullifications_it_claims_waits_for_them(room: Room, book: Playbook) -> None:
    chain = build_chain(room, 1)
    book.hear(room.certify(NOTARIZE, 1, chain[0][0]))
    book.hear(room.certify(NULLIFY, 3))
    book.tell(ev.BlockReceived(chain[0][1], PEER))
    block = room.build_block(4, ANCHOR, 41)
    effects = book.see(room.propose(4, block, parent_view=0))
    assert only(effects, fx.RequestCertificates) == [fx.RequestCertificates(View(1))]
    effects = book.hear(room.certify(NULLIFY, 1))
    assert only(effects, fx.RequestCertificates) == [fx.RequestCertificates(View(2))]
    effects = book.hear(room.certify(NULLIFY, 2))
    assert [each.block_hash for each in only(effects, fx.CheckBlock)] == [compute_block_hash(block.header)]


def test_a_request_is_repeated_until_it_is_answered_and_then_no_more(room: Room, book: Playbook) -> None:
    (first_hash, first), _ = build_chain(room, 2)
    book.hear(room.certify(FINALIZE, 1, first_hash))
    for _ in range(3):
        effects = book.fire(TimerKind.RESOLVE)
        assert only(effects, fx.RequestBlock) == [fx.RequestBlock(first_hash)]
    book.tell(ev.BlockReceived(first, PEER))
    assert book.fire(TimerKind.RESOLVE) == []


def test_what_only_an_old_view_needed_is_not_asked_for_again(room: Room, book: Playbook) -> None:
    _, (_, second) = build_chain(room, 2)
    book.hear(room.certify(NULLIFY, 1))
    book.see(room.propose(2, second, parent_view=1))
    book.hear(room.certify(NULLIFY, 2))
    assert book.fire(TimerKind.RESOLVE) == []


def test_a_finalization_of_any_view_is_acted_on_though_no_notarization_was_seen(room: Room, book: Playbook) -> None:
    block = room.build_block(30)
    block_hash = compute_block_hash(block.header)
    certificate = room.certify(FINALIZE, 30, block_hash)
    effects = book.hear(certificate)
    assert book.core.view == 31
    assert only(effects, fx.RequestBlock) == [fx.RequestBlock(block_hash)]
    effects = book.tell(ev.BlockReceived(block, PEER))
    assert effects[:2] == [
        fx.CheckBlock(View(30), block, block_hash),
        fx.FinalizeBlocks((block_hash,), certificate),
    ]


def test_finality_fetches_ancestors_one_by_one_and_lists_them_oldest_first(room: Room, book: Playbook) -> None:
    chain = build_chain(room, 4)
    certificate = room.certify(FINALIZE, 4, chain[3][0])
    effects = book.hear(certificate)
    for block_hash, block in reversed(chain):
        assert only(effects, fx.RequestBlock) == [fx.RequestBlock(block_hash)]
        effects = book.tell(ev.BlockReceived(block, PEER))
    hashes = tuple(block_hash for block_hash, _ in chain)
    assert [each.block_hash for each in only(effects, fx.CheckBlock)] == list(hashes)
    assert only(effects, fx.FinalizeBlocks) == [fx.FinalizeBlocks(hashes, certificate)]


def test_a_search_for_ancestors_is_not_thrown_over_by_newer_finality(room: Room, book: Playbook) -> None:
    chain = build_chain(room, 4)
    book.hear(room.certify(FINALIZE, 3, chain[2][0]))
    book.hear(room.certify(FINALIZE, 4, chain[3][0]))
    for block_hash, block in reversed(chain[:3]):
        effects = book.tell(ev.BlockReceived(block, PEER))
        assert block_hash not in {each.block_hash for each in only(effects, fx.RequestBlock)}
    assert book.core.finalized_view == 3
    book.tell(ev.BlockReceived(chain[3][1], PEER))
    assert book.core.finalized_view == 4


def test_the_late_proposal_of_a_notarized_block_is_as_good_as_an_answer(room: Room, book: Playbook) -> None:
    ((block_hash, block),) = build_chain(room, 1)
    book.hear(room.certify(NOTARIZE, 1, block_hash))
    book.see(room.propose(1, block))
    effects = book.hear(room.certify(FINALIZE, 1, block_hash))
    assert only(effects, fx.RequestBlock) == []
    assert only(effects, fx.FinalizeBlocks)[0].block_hashes == (block_hash,)


def test_a_block_nobody_asked_for_is_not_kept(room: Room, book: Playbook) -> None:
    ((block_hash, block),) = build_chain(room, 1)
    assert book.tell(ev.BlockReceived(block, PEER)) == []
    assert book.core.get_block(block_hash) is None


def test_a_leader_that_joined_late_fetches_the_views_between_before_it_builds(room: Room) -> None:
    view = room.find_view(0, start=6)
    book = Playbook(room, 0)
    book.start()
    effects = book.hear(room.certify(NULLIFY, view - 1))
    assert book.core.view == view
    assert only(effects, fx.BuildBlock) == []
    assert only(effects, fx.RequestCertificates) == [fx.RequestCertificates(View(1))]
    for before in range(1, view - 1):
        effects = book.hear(room.certify(NULLIFY, before))
    assert only(effects, fx.BuildBlock) == [fx.BuildBlock(View(view), View(0), ANCHOR)]


def test_a_leader_fetches_a_notarized_parent_it_never_got_and_has_it_checked_first(room: Room) -> None:
    view = room.find_view(0, start=2)
    book = Playbook(room, 0)
    book.start()
    block = room.build_block(view - 1)
    block_hash = compute_block_hash(block.header)
    effects = book.hear(room.certify(NOTARIZE, view - 1, block_hash))
    assert only(effects, fx.RequestBlock) == [fx.RequestBlock(block_hash)]
    effects = book.tell(ev.BlockReceived(block, PEER))
    assert effects == [
        fx.CheckBlock(View(view - 1), block, block_hash),
        fx.BuildBlock(View(view), View(view - 1), block_hash),
    ]


def test_in_a_split_view_the_leader_builds_upon_the_notarized_block(room: Room) -> None:
    view = room.find_view(0, start=2)
    book = Playbook(room, 0)
    book.start()
    block = room.build_block(view - 1)
    block_hash = compute_block_hash(block.header)
    if room.get_leader(view - 1) != 0:
        book.see(room.propose(view - 1, block))
    book.hear(room.certify(NOTARIZE, view - 1, block_hash))
    book.tell(ev.BlockReceived(block, PEER))
    book.hear(room.certify(NULLIFY, view - 1))
    assert only(book.log, fx.BuildBlock)[-1].parent_hash == block_hash


def test_a_synced_block_moves_finality_without_being_handed_over_again(room: Room, book: Playbook) -> None:
    chain = build_chain(room, 3)
    effects = book.tell(ev.SyncedTo(chain[2][1], room.certify(FINALIZE, 3, chain[2][0])))
    assert only(effects, fx.FinalizeBlocks) + only(effects, fx.CheckBlock) == []
    assert (book.core.finalized_view, book.core.view) == (3, 4)
    assert book.core.get_block(chain[2][0]) == chain[2][1]
    block = room.build_block(4, chain[2][0], 44)
    effects = book.see(room.propose(4, block, parent_view=3))
    assert only(effects, fx.CheckBlock)[0].block == block


def test_sync_ends_the_search_for_what_it_brought(room: Room, book: Playbook) -> None:
    chain = build_chain(room, 3)
    certificate = room.certify(FINALIZE, 3, chain[2][0])
    book.hear(certificate)
    book.tell(ev.SyncedTo(chain[2][1], certificate))
    assert book.fire(TimerKind.RESOLVE) == []


def test_a_final_block_beside_the_final_chain_stops_the_node(room: Room, book: Playbook) -> None:
    first, fork = room.build_block(1), room.build_block(2)
    book.see(room.propose(1, first))
    book.hear(room.certify(FINALIZE, 1, compute_block_hash(first.header)))
    higher = room.build_block(3, compute_block_hash(fork.header), 42)
    book.hear(room.certify(FINALIZE, 3, compute_block_hash(higher.header)))
    book.tell(ev.BlockReceived(higher, PEER))
    with pytest.raises(SafetyBroken):
        book.tell(ev.BlockReceived(fork, PEER))


def test_two_notarizations_in_a_view_stop_the_node(room: Room, book: Playbook) -> None:
    hashes = [compute_block_hash(room.build_block(1, tag=tag).header) for tag in (0, 1)]
    book.hear(room.certify(NOTARIZE, 1, hashes[0]))
    with pytest.raises(SafetyBroken):
        book.hear(room.certify(FINALIZE, 1, hashes[1]))
