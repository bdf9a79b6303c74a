"""Votes are counted by stake, verified lazily, and a bad one costs only its sender."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.consensus.votes import VoteBook, VoteVerifier
from flockchain.crypto.voting import verify_certificate
from flockchain.primitives.numbers import ZERO_HASH, Hash
from flockchain.primitives.vote import VoteKind, decode_bitmap
from tests.kit.consensus_playbook import GENESIS_HASH, FastBls, Room, get_node_id

NOTARIZE, NULLIFY, FINALIZE = VoteKind
BLOCK = Hash(b"b" * 32)


def build_book(room: Room) -> VoteBook:
    verifier = VoteVerifier(room.config.bls, GENESIS_HASH, room.context.validators)
    return VoteBook(verifier, room.context.validators, lambda kind, view: False)


def get_checks(room: Room) -> int:
    assert isinstance(room.config.bls, FastBls)
    return room.config.bls.checks


def test_nothing_is_verified_before_a_quorum_and_then_one_aggregate() -> None:
    room = Room.build((1,) * 10)
    book = build_book(room)
    for signer in range(6):
        assert book.add(room.sign(NOTARIZE, 1, BLOCK, signer), get_node_id(signer)).certificate is None
    assert get_checks(room) == 0
    outcome = book.add(room.sign(NOTARIZE, 1, BLOCK, 6), get_node_id(6))
    assert get_checks(room) == 1
    assert outcome.certificate is not None
    assert decode_bitmap(outcome.certificate.signers) == tuple(range(7))


def test_votes_for_different_blocks_do_not_add_up() -> None:
    room = Room.build()
    book = build_book(room)
    hashes = [BLOCK, BLOCK, ZERO_HASH, ZERO_HASH]
    outcomes = [book.add(room.sign(NOTARIZE, 1, hashes[n], n), None) for n in range(4)]
    assert [outcome.certificate for outcome in outcomes] == [None] * 4


def test_two_thirds_exactly_are_no_quorum() -> None:
    room = Room.build((1, 1, 1))
    book = build_book(room)
    assert book.add(room.sign(NULLIFY, 1, ZERO_HASH, 0), None).certificate is None
    assert book.add(room.sign(NULLIFY, 1, ZERO_HASH, 1), None).certificate is None
    assert book.add(room.sign(NULLIFY, 1, ZERO_HASH, 2), None).certificate is not None


def test_one_bad_vote_among_many_is_found_by_bisection() -> None:
    room = Room.build((1,) * 64)
    book = build_book(room)
    outcomes = []
    for signer in range(44):
        vote = room.sign(NOTARIZE, 1, BLOCK, signer)
        vote = replace(vote, signature=bytes(96)) if signer == 17 else vote
        outcomes.append(book.add(vote, get_node_id(signer)))
    assert [outcome.blamed for outcome in outcomes if outcome.blamed] == [[get_node_id(17)]]
    assert outcomes[42].certificate is None
    assert outcomes[43].certificate is not None
    assert get_checks(room) < 20


def test_a_name_in_which_a_bad_vote_came_is_verified_at_once() -> None:
    room = Room.build()
    book = build_book(room)
    bad = replace(room.sign(NULLIFY, 1, ZERO_HASH, 0), signature=bytes(96))
    for vote in (bad, room.sign(NULLIFY, 1, ZERO_HASH, 1), room.sign(NULLIFY, 1, ZERO_HASH, 2)):
        outcome = book.add(vote, get_node_id(vote.signer))
    assert outcome.blamed == [get_node_id(0)]
    before = get_checks(room)
    assert book.add(replace(bad, signature=b"x" * 96), get_node_id(0)).blamed == [get_node_id(0)]
    assert get_checks(room) == before + 1
    assert book.add(room.sign(NULLIFY, 1, ZERO_HASH, 0), get_node_id(0)).certificate is not None


def test_signatures_that_only_cancel_out_prove_nothing_about_one_vote() -> None:
    room = Room.build()
    book = build_book(room)
    first, second = (room.sign(FINALIZE, 1, BLOCK, signer) for signer in (0, 1))
    mask = b"\x01" * 96
    skewed = [replace(vote, signature=bytes(a ^ b for a, b in zip(vote.signature, mask, strict=True)))
              for vote in (first, second)]  # fmt: skip
    for vote in (*skewed, room.sign(FINALIZE, 1, BLOCK, 2)):
        outcome = book.add(vote, get_node_id(3))
    assert outcome.certificate is not None
    outcome = book.add(room.sign(NULLIFY, 1, ZERO_HASH, 0), get_node_id(0))
    assert outcome.evidence == []
    assert outcome.blamed == [get_node_id(3)]


def test_what_is_settled_is_not_verified_again() -> None:
    room = Room.build()
    verifier = VoteVerifier(room.config.bls, GENESIS_HASH, room.context.validators)
    book = VoteBook(verifier, room.context.validators, lambda kind, view: True)
    for signer in range(4):
        assert book.add(room.sign(NOTARIZE, 1, BLOCK, signer), None).certificate is None
    assert get_checks(room) == 0


@settings(max_examples=60, deadline=None)
@given(
    stakes=st.lists(st.integers(1, 10), min_size=1, max_size=9),
    bad=st.sets(st.integers(0, 8)),
    order=st.randoms(use_true_random=False),
)
def test_the_good_votes_of_a_quorum_always_certify_and_only_the_bad_are_blamed(
    stakes: list[int], bad: set[int], order: object
) -> None:
    room = Room.build(stakes)
    book = build_book(room)
    signers = list(range(len(stakes)))
    order.shuffle(signers)  # type: ignore[attr-defined]
    certificate, blamed = None, set()
    for signer in signers:
        vote = room.sign(NOTARIZE, 1, BLOCK, signer)
        vote = replace(vote, signature=bytes(96)) if signer in bad else vote
        outcome = book.add(vote, get_node_id(signer))
        certificate = certificate or outcome.certificate
        blamed.update(outcome.blamed)
    good = {signer for signer in signers if signer not in bad}
    assert blamed <= {get_node_id(signer) for signer in bad}
    assert (certificate is not None) == room.context.validators.has_quorum(good)
    if certificate is not None:
        assert set(decode_bitmap(certificate.signers)) <= good
        assert verify_certificate(room.config.bls, GENESIS_HASH, room.context.validators, certificate)
