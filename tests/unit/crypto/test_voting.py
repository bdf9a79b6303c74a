"""Votes and certificates: one message, members of the epoch, strictly more than 2/3 of the stake."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flockchain.crypto import bls
from flockchain.crypto.voting import InvalidVotes, build_certificate, sign_vote, verify_certificate, verify_vote
from flockchain.primitives.numbers import ZERO_HASH, Epoch, Hash, View
from flockchain.primitives.vote import Certificate, Vote, VoteKind, encode_bitmap
from tests.kit.keys import build_ordered_keys, build_validator_set

BACKEND = bls.get_default_backend()
GENESIS = Hash(bytes([0xAA]) * 32)
BLOCK = Hash(bytes([0xBB]) * 32)
EPOCH = Epoch(3)
VIEW = View(7)
VALIDATORS = build_validator_set((100, 100, 100, 100), epoch=EPOCH)
KEYS = build_ordered_keys(4)


def cast(signer: int, kind: VoteKind = VoteKind.NOTARIZE, block_hash: Hash = BLOCK, view: View = VIEW) -> Vote:
    secret = KEYS[signer].consensus_secret
    signature = sign_vote(BACKEND, GENESIS, secret, kind, EPOCH, view, block_hash)
    return Vote(kind, EPOCH, view, block_hash, signer, signature)


def certify(*signers: int) -> Certificate:
    """A certificate that skips every check but the signature."""
    signature = BACKEND.aggregate([cast(signer).signature for signer in signers])
    return Certificate(VoteKind.NOTARIZE, EPOCH, VIEW, BLOCK, encode_bitmap(set(signers)), signature)


def is_valid(certificate: Certificate) -> bool:
    return verify_certificate(BACKEND, GENESIS, VALIDATORS, certificate)


@pytest.mark.parametrize("kind", list(VoteKind))
def test_a_vote_verifies_for_what_it_says(kind: VoteKind) -> None:
    vote = cast(1, kind, ZERO_HASH if kind is VoteKind.NULLIFY else BLOCK)
    assert verify_vote(BACKEND, GENESIS, VALIDATORS, vote)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": VoteKind.FINALIZE}, {"epoch": Epoch(4)}, {"view": View(8)}, {"block_hash": GENESIS}, {"signer": 2},
        {"signer": 4}, {"signer": -3}, {"signature": bytes(96)}, {"signature": b""},
    ],
    ids=lambda change: "-".join(change),
)  # fmt: skip
def test_a_vote_with_one_field_changed_is_false(change: dict[str, object]) -> None:
    assert not verify_vote(BACKEND, GENESIS, VALIDATORS, replace(cast(1), **change))  # type: ignore[arg-type]


def test_a_vote_of_another_chain_is_false() -> None:
    assert not verify_vote(BACKEND, BLOCK, VALIDATORS, cast(1))


def test_a_vote_of_another_epoch_is_not_of_this_set_even_if_its_members_are_the_same() -> None:
    signature = sign_vote(BACKEND, GENESIS, KEYS[1].consensus_secret, VoteKind.NOTARIZE, Epoch(4), VIEW, BLOCK)
    vote = Vote(VoteKind.NOTARIZE, Epoch(4), VIEW, BLOCK, 1, signature)
    assert verify_vote(BACKEND, GENESIS, replace(VALIDATORS, epoch=Epoch(4)), vote)
    assert not verify_vote(BACKEND, GENESIS, VALIDATORS, vote)


def test_a_nullification_names_no_block() -> None:
    assert not verify_vote(BACKEND, GENESIS, VALIDATORS, cast(1, VoteKind.NULLIFY, BLOCK))


def test_three_of_four_equal_stakes_certify_and_two_do_not() -> None:
    assert is_valid(certify(0, 1, 3))
    assert is_valid(certify(0, 1, 2, 3))
    assert not is_valid(certify(0, 1))


def test_exactly_two_thirds_of_the_stake_is_no_quorum() -> None:
    validators = build_validator_set((100, 100, 100), epoch=EPOCH)
    keys = build_ordered_keys(3)
    votes = []
    for signer in range(3):
        signature = sign_vote(BACKEND, GENESIS, keys[signer].consensus_secret, VoteKind.NOTARIZE, EPOCH, VIEW, BLOCK)
        votes.append(Vote(VoteKind.NOTARIZE, EPOCH, VIEW, BLOCK, signer, signature))
    with pytest.raises(InvalidVotes, match="no quorum"):
        build_certificate(BACKEND, validators, votes[:2])
    certificate = build_certificate(BACKEND, validators, votes)
    assert verify_certificate(BACKEND, GENESIS, validators, certificate)
    two = replace(certificate, signers=b"\x03", signature=BACKEND.aggregate([vote.signature for vote in votes[:2]]))
    assert not verify_certificate(BACKEND, GENESIS, validators, two)


def test_stake_counts_and_not_heads() -> None:
    validators = build_validator_set((1000, 1, 1, 1), epoch=EPOCH)
    rich = max(range(4), key=lambda index: validators.validators[index].stake)
    poor = [index for index in range(4) if index != rich]
    assert verify_certificate(BACKEND, GENESIS, validators, certify(rich))
    assert not verify_certificate(BACKEND, GENESIS, validators, certify(*poor))


def test_a_certificate_names_exactly_who_signed() -> None:
    honest = certify(0, 1, 2)
    assert not is_valid(replace(honest, signers=encode_bitmap({0, 1, 3})))
    assert not is_valid(replace(honest, signers=encode_bitmap({0, 1, 2, 3})))


@pytest.mark.parametrize("signers", [b"", b"\x00", b"\x07\x00", b"\x07\x01", b"\x17", b"\xff" * 32])
def test_a_bitmap_that_is_not_canonical_or_names_strangers_is_false(signers: bytes) -> None:
    assert not is_valid(replace(certify(0, 1, 2), signers=signers))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": VoteKind.FINALIZE}, {"epoch": Epoch(4)}, {"view": View(8)}, {"block_hash": GENESIS},
        {"signature": bytes(96)}, {"kind": VoteKind.NULLIFY},
    ],
    ids=lambda change: "-".join(change),
)  # fmt: skip
def test_a_certificate_with_one_field_changed_is_false(change: dict[str, object]) -> None:
    assert not is_valid(replace(certify(0, 1, 2), **change))  # type: ignore[arg-type]


def test_votes_build_the_certificate_that_verifies_in_any_order() -> None:
    votes = [cast(signer) for signer in (3, 0, 2)]
    certificate = build_certificate(BACKEND, VALIDATORS, votes)
    assert certificate == build_certificate(BACKEND, VALIDATORS, votes[::-1])
    assert certificate.signers == encode_bitmap({0, 2, 3})
    assert is_valid(certificate)


def test_votes_that_do_not_belong_together_build_nothing() -> None:
    good = [cast(0), cast(1)]
    for wrong in (cast(2, VoteKind.FINALIZE), cast(2, view=View(8)), cast(2, block_hash=GENESIS), cast(1)):
        with pytest.raises(InvalidVotes):
            build_certificate(BACKEND, VALIDATORS, [*good, wrong])
    for stranger in (4, -1):
        with pytest.raises(InvalidVotes, match="not of this epoch"):
            build_certificate(BACKEND, VALIDATORS, [*good, replace(cast(2), signer=stranger)])
    with pytest.raises(InvalidVotes):
        build_certificate(BACKEND, VALIDATORS, [])
    with pytest.raises(bls.InvalidBlsInput):
        build_certificate(BACKEND, VALIDATORS, [*good, replace(cast(2), signature=bytes(96))])


def test_one_forged_signature_spoils_the_aggregate() -> None:
    forged = replace(cast(2), signature=cast(3).signature)
    assert not is_valid(build_certificate(BACKEND, VALIDATORS, [cast(0), cast(1), forged]))
