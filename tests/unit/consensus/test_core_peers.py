"""What peers may send: bounds on what is kept, blame for what cannot be honest, answers to who is behind, evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flockchain.consensus import effects as fx
from flockchain.consensus import events as ev
from flockchain.consensus.timers import TimerKind
from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.block import Block
from flockchain.primitives.limits import CERTIFICATES_PER_REPLY_MAX, PROPOSALS_AHEAD_MAX, VIEWS_AHEAD_MAX
from flockchain.primitives.numbers import U64_MAX, ZERO_HASH, Epoch, Hash, View
from flockchain.primitives.vote import Vote, VoteKind
from tests.kit.consensus_playbook import FastBls, Playbook, Room, get_node_id, only

NOTARIZE, NULLIFY, FINALIZE = VoteKind
PEER = get_node_id(0)


@pytest.fixture
def room() -> Room:
    return Room.build()


@pytest.fixture
def book(room: Room) -> Playbook:
    """A started member that leads neither view 1 nor view 2."""
    me = next(index for index in range(4) if index not in (room.get_leader(1), room.get_leader(2)))
    playbook = Playbook(room, me)
    playbook.start()
    return playbook


@pytest.fixture
def block(room: Room) -> Block:
    return room.build_block(1)


@pytest.fixture
def block_hash(block: Block) -> Hash:
    return compute_block_hash(block.header)


def get_others(book: Playbook) -> list[int]:
    return [index for index in range(4) if index != book.me]


def get_blamed(effects: list[fx.Effect]) -> list[fx.BlameReason]:
    return [each.reason for each in only(effects, fx.BlamePeer)]


def is_untouched(book: Playbook) -> bool:
    return book.core.view == 1 and not only(book.log, fx.CheckBlock) + only(book.log, fx.BroadcastVote)


def test_a_proposal_not_signed_by_its_leader_is_blamed_on_its_sender(room: Room, book: Playbook, block: Block) -> None:
    vote = room.sign(NOTARIZE, 1, compute_block_hash(block.header), (room.get_leader(1) + 1) % 4)
    effects = book.see(replace(room.propose(1, block), signature=vote.signature))
    assert get_blamed(effects) == [fx.BlameReason.BAD_PROPOSAL]
    assert is_untouched(book)


@pytest.mark.parametrize("fields", [{"extrinsics": (b"x",)}, {"evidence": (b"x",)}, {"reveal": bytes(95) + b"x"}])
def test_a_proposal_with_a_swapped_body_does_not_spoil_the_leaders_own(
    room: Room, book: Playbook, block: Block, fields: dict[str, Any]
) -> None:
    proposal = room.propose(1, block)
    effects = book.see(replace(proposal, block=replace(block, **fields)))
    assert get_blamed(effects) == [fx.BlameReason.BAD_BODY]
    assert is_untouched(book)
    assert only(book.see(proposal), fx.CheckBlock)


def test_a_fetched_block_with_a_swapped_body_is_asked_for_again(
    room: Room, book: Playbook, block: Block, block_hash: Hash
) -> None:
    book.hear(room.certify(FINALIZE, 1, block_hash))
    effects = book.tell(ev.BlockReceived(replace(block, extrinsics=(b"x",)), PEER))
    assert get_blamed(effects) == [fx.BlameReason.BAD_BODY]
    assert only(book.fire(TimerKind.RESOLVE), fx.RequestBlock) == [fx.RequestBlock(block_hash)]
    assert only(book.tell(ev.BlockReceived(block, PEER)), fx.FinalizeBlocks)


def test_a_certificate_that_does_not_verify_changes_nothing(room: Room, book: Playbook, block_hash: Hash) -> None:
    good = room.certify(FINALIZE, 1, block_hash)
    thin = room.certify(FINALIZE, 1, block_hash, signers=(0, 1, 2, 3))
    for bad in (
        replace(good, block_hash=ZERO_HASH),
        replace(good, view=View(2)),
        replace(good, kind=NOTARIZE),
        replace(good, signers=thin.signers),
        replace(good, signers=b"\x03"),
        replace(good, signers=good.signers + b"\x00"),
        replace(good, signers=b"\x10" + good.signers),
    ):
        assert get_blamed(book.hear(bad)) == [fx.BlameReason.BAD_CERTIFICATE]
    assert is_untouched(book)
    assert book.core.finalized_view == 0


def test_what_belongs_to_another_epoch_is_let_pass_without_blame(room: Room, book: Playbook, block_hash: Hash) -> None:
    assert book.hear(replace(room.certify(NULLIFY, 1), epoch=Epoch(4))) == []
    vote = replace(room.sign(NULLIFY, 1, ZERO_HASH, 0), epoch=Epoch(4))
    assert book.tell(ev.VoteReceived(vote, PEER)) == []


@pytest.mark.parametrize("fields", [{"signer": 4}, {"signer": 65_535}, {"kind": NULLIFY}])
def test_a_vote_that_cannot_be_is_blamed(room: Room, book: Playbook, block_hash: Hash, fields: dict[str, Any]) -> None:
    vote = replace(room.sign(NOTARIZE, 1, block_hash, 0), **fields)
    assert get_blamed(book.tell(ev.VoteReceived(vote, PEER))) == [fx.BlameReason.BAD_VOTE]


def test_a_certificate_is_verified_and_passed_on_once(room: Room, book: Playbook) -> None:
    backend = room.config.bls
    assert isinstance(backend, FastBls)
    certificate = room.certify(NULLIFY, 1)
    assert only(book.hear(certificate), fx.BroadcastCertificate)
    checks = backend.checks
    assert book.hear(certificate) == []
    assert backend.checks == checks


def test_votes_and_proposals_far_ahead_are_dropped_unread(room: Room, book: Playbook) -> None:
    backend = room.config.bls
    assert isinstance(backend, FastBls)
    checks = backend.checks
    for view in (1 + VIEWS_AHEAD_MAX + 1, U64_MAX):
        for signer in get_others(book):
            book.tell(ev.VoteReceived(room.sign(NULLIFY, view, ZERO_HASH, signer), PEER))
    far = 1 + PROPOSALS_AHEAD_MAX + 1
    assert book.see(room.propose(far, room.build_block(far))) == []
    assert book.core.view == 1
    assert backend.checks == checks


def test_a_proposal_a_few_views_ahead_is_ready_when_its_view_comes(room: Room, book: Playbook) -> None:
    ahead = 1 + PROPOSALS_AHEAD_MAX
    block = room.build_block(ahead)
    book.see(room.propose(ahead, block))
    for view in range(1, ahead):
        effects = book.hear(room.certify(NULLIFY, view))
    assert [each.block for each in only(effects, fx.CheckBlock)] == [block]


def test_votes_ahead_count_when_they_are_enough(room: Room, book: Playbook) -> None:
    for signer in (0, 1, 2):
        book.tell(ev.VoteReceived(room.sign(NULLIFY, 40, ZERO_HASH, signer), get_node_id(signer)))
    assert book.core.view == 41


def test_memory_stays_bounded_though_a_leader_proposes_what_nobody_notarizes(room: Room, book: Playbook) -> None:
    kept = 0
    for view in range(1, 200):
        if room.get_leader(view) != book.me:
            block = room.build_block(view)
            book.see(room.propose(view, block))
        book.hear(room.certify(NULLIFY, view))
        kept = max(kept, len(book.core._tree._blocks))
        assert len(book.core._votes._views) <= 20
    assert kept <= 20


def test_a_peer_stuck_in_an_old_view_is_sent_all_it_needs(room: Room, book: Playbook) -> None:
    certificates = [room.certify(NULLIFY, view) for view in (1, 2, 3)]
    for certificate in certificates:
        book.hear(certificate)
    peer = get_others(book)[0]
    effects = book.tell(ev.VoteReceived(room.sign(NULLIFY, 2, ZERO_HASH, peer), get_node_id(peer)))
    assert effects == [fx.SendCertificates(get_node_id(peer), tuple(certificates[1:]))]


def test_an_answer_is_bounded_and_ends_with_the_newest_certificate(room: Room, book: Playbook) -> None:
    views = CERTIFICATES_PER_REPLY_MAX + 20
    certificates = [room.certify(NULLIFY, view) for view in range(1, views + 1)]
    for certificate in certificates:
        book.hear(certificate)
    (effect,) = book.tell(ev.CertificatesRequested(View(1), PEER))
    assert isinstance(effect, fx.SendCertificates)
    assert len(effect.certificates) == CERTIFICATES_PER_REPLY_MAX
    assert effect.certificates[:-1] == tuple(certificates[: CERTIFICATES_PER_REPLY_MAX - 1])
    assert effect.certificates[-1] == certificates[-1]


def test_a_peer_below_finality_is_sent_the_finalization(room: Room, book: Playbook, block: Block) -> None:
    certificate = room.certify(FINALIZE, 1, compute_block_hash(block.header))
    book.see(room.propose(1, block))
    book.hear(certificate)
    assert book.tell(ev.CertificatesRequested(View(1), PEER)) == [fx.SendCertificates(PEER, (certificate,))]
    assert book.tell(ev.CertificatesRequested(View(2), PEER)) == []


def test_unknown_blocks_are_not_answered(book: Playbook) -> None:
    assert book.tell(ev.BlockRequested(ZERO_HASH, PEER)) == []


def test_a_view_that_does_not_end_is_said_again(room: Room, book: Playbook, block: Block) -> None:
    opener = room.certify(NOTARIZE, 1, compute_block_hash(block.header))
    book.see(room.propose(1, block))
    book.hear(opener)
    book.fire(TimerKind.LEADER)
    effects = book.fire(TimerKind.RETRY)
    assert [type(effect) for effect in effects] == [
        fx.BroadcastCertificate, fx.BroadcastVote, fx.BroadcastVote, fx.RequestCertificates, fx.SetTimer,
    ]  # fmt: skip
    said = [(each.vote.kind, each.vote.view) for each in only(effects, fx.BroadcastVote)]
    assert said == [(FINALIZE, 1), (NULLIFY, 2)]
    assert only(effects, fx.RequestCertificates) == [fx.RequestCertificates(View(1))]


# --- Evidence


def find_evidence(book: Playbook, votes: list[Vote]) -> list[fx.Effect]:
    return [effect for vote in votes for effect in book.tell(ev.VoteReceived(vote, PEER))]


def test_an_equivocating_leader_is_reported_and_its_first_block_counts(
    room: Room, book: Playbook, block: Block, block_hash: Hash
) -> None:
    twin = room.build_block(1, tag=1)
    book.see(room.propose(1, block))
    effects = book.see(room.propose(1, twin))
    (report,) = only(effects, fx.ReportEvidence)
    assert {report.evidence.first.block_hash, report.evidence.second.block_hash} == {
        block_hash,
        compute_block_hash(twin.header),
    }
    assert only(book.approve(block), fx.BroadcastVote)[0].vote.block_hash == block_hash


def test_when_a_view_ends_without_its_proposal_the_leaders_vote_for_it_is_passed_on(
    room: Room, book: Playbook, block: Block
) -> None:
    """Whoever was shown another block can prove it: neither half of the validators saw both proposals."""
    twin = room.build_block(1, tag=1)
    proposal = room.propose(1, block)
    book.see(proposal)
    effects = book.hear(room.certify(NOTARIZE, 1, compute_block_hash(twin.header)))
    (exposed,) = only(effects, fx.ExposeVote)
    assert exposed.vote == room.sign(NOTARIZE, 1, compute_block_hash(block.header), room.get_leader(1))
    other = Playbook(room, next(index for index in get_others(book) if index != room.get_leader(1)))
    other.start()
    other.see(room.propose(1, twin))
    assert len(only(other.tell(ev.VoteReceived(exposed.vote, None)), fx.ReportEvidence)) == 1


def test_a_leader_whose_block_is_notarized_is_not_exposed_nor_are_we_ourselves(room: Room, block: Block) -> None:
    for index in range(4):
        member = Playbook(room, index)
        member.start()
        if index == room.get_leader(1):
            member.tell(ev.BlockBuilt(View(1), block))
            effects = member.hear(room.certify(NULLIFY, 1, ZERO_HASH))
        else:
            member.see(room.propose(1, block))
            effects = member.hear(room.certify(NOTARIZE, 1, compute_block_hash(block.header)))
        assert member.core.view == 2
        assert only(effects, fx.ExposeVote) == []


def test_nullify_and_finalize_of_one_signer_are_reported_once(room: Room, book: Playbook, block_hash: Hash) -> None:
    signer = get_others(book)[0]
    votes = [room.sign(NULLIFY, 1, ZERO_HASH, signer), room.sign(FINALIZE, 1, block_hash, signer)]
    effects = find_evidence(book, [*votes, *votes, room.sign(FINALIZE, 1, ZERO_HASH, signer)])
    assert len(only(effects, fx.ReportEvidence)) == 1
    assert get_blamed(effects) == []


def test_forged_votes_accuse_nobody_but_their_sender(room: Room, book: Playbook, block_hash: Hash) -> None:
    signer = get_others(book)[0]
    forged = replace(room.sign(NULLIFY, 1, ZERO_HASH, signer), signature=bytes(96))
    effects = find_evidence(book, [room.sign(FINALIZE, 1, block_hash, signer), forged])
    assert only(effects, fx.ReportEvidence) == []
    assert get_blamed(effects) == [fx.BlameReason.BAD_VOTE]


def test_a_forgery_that_came_first_does_not_silence_the_real_vote(room: Room, book: Playbook) -> None:
    others = get_others(book)
    forged = replace(room.sign(NULLIFY, 1, ZERO_HASH, others[0]), signature=bytes(96))
    effects = find_evidence(book, [forged, *(room.sign(NULLIFY, 1, ZERO_HASH, signer) for signer in others)])
    assert book.core.view == 2
    assert get_blamed(effects) == [fx.BlameReason.BAD_VOTE]
