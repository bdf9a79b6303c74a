"""Votes and certificates as signatures: who signed what, and whether it adds up to a quorum (PROTOCOL §2).

Knows an epoch's validator set and the BLS backend it is handed; knows nothing of views in progress,
of blocks or of when a vote may be cast: that is consensus.
"""

from __future__ import annotations

from collections.abc import Sequence

from flockchain.crypto.bls import BlsBackend
from flockchain.crypto.signing import compute_vote_bytes
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.numbers import ZERO_HASH, Epoch, Hash, View
from flockchain.primitives.validator_set import ValidatorSet
from flockchain.primitives.vote import Certificate, Vote, VoteKind, decode_bitmap, encode_bitmap

__all__ = ["InvalidVotes", "build_certificate", "sign_vote", "verify_certificate", "verify_vote"]


class InvalidVotes(InvalidInput):
    """Votes that do not add up to one certificate."""


def sign_vote(
    backend: BlsBackend,
    genesis_hash: Hash,
    secret_key: bytes,
    kind: VoteKind,
    epoch: Epoch,
    view: View,
    block_hash: Hash,
) -> bytes:
    """The BLS signature of a vote. The caller's guard has recorded the vote before."""
    return backend.sign(secret_key, compute_vote_bytes(genesis_hash, kind, epoch, view, block_hash))


def verify_vote(backend: BlsBackend, genesis_hash: Hash, validators: ValidatorSet, vote: Vote) -> bool:
    """Whether the named member of this epoch's set signed the vote."""
    if not _is_well_formed(validators, vote) or not 0 <= vote.signer < len(validators.validators):
        return False
    key = validators.validators[vote.signer].consensus_key
    return backend.verify(key, _compute_message(genesis_hash, vote), vote.signature)


def verify_certificate(
    backend: BlsBackend, genesis_hash: Hash, validators: ValidatorSet, certificate: Certificate
) -> bool:
    """Whether members with strictly more than 2/3 of this epoch's stake signed: canonical bitmap, one message."""
    if not _is_well_formed(validators, certificate):
        return False
    members = decode_bitmap(certificate.signers)
    if not members or members[-1] >= len(validators.validators):
        return False
    if encode_bitmap(set(members)) != certificate.signers or not validators.has_quorum(members):
        return False
    keys = [validators.validators[member].consensus_key for member in members]
    return backend.fast_aggregate_verify(keys, _compute_message(genesis_hash, certificate), certificate.signature)


def build_certificate(backend: BlsBackend, validators: ValidatorSet, votes: Sequence[Vote]) -> Certificate:
    """The certificate that `votes` add up to: one message, distinct members, a quorum of stake.

    The signatures need not be verified yet; verify the certificate then. Raises `InvalidVotes` if the
    votes do not belong together or are no quorum, `InvalidBlsInput` if a signature is not a point.
    """
    if not votes:
        raise InvalidVotes("there is no vote to build a certificate from")
    first = votes[0]
    subject = (first.kind, first.epoch, first.view, first.block_hash)
    for vote in votes:
        if (vote.kind, vote.epoch, vote.view, vote.block_hash) != subject:
            raise InvalidVotes("the votes are over different messages", views=(first.view, vote.view))
    members = {vote.signer for vote in votes}
    if len(members) != len(votes):
        raise InvalidVotes("a member votes twice in one certificate", votes=len(votes), members=len(members))
    if not _is_well_formed(validators, first) or max(members) >= len(validators.validators) or min(members) < 0:
        raise InvalidVotes("the votes are not of this epoch's set", epoch=first.epoch, set_epoch=validators.epoch)
    if not validators.has_quorum(members):
        stake, total = validators.get_stake_of(members), validators.total_stake
        raise InvalidVotes("the votes are no quorum", stake=stake, total=total)
    signature = backend.aggregate([vote.signature for vote in votes])
    return Certificate(*subject, signers=encode_bitmap(members), signature=signature)


def _is_well_formed(validators: ValidatorSet, voted: Vote | Certificate) -> bool:
    """Of this set's epoch, and with the zero hash exactly where there is no block."""
    if voted.epoch != validators.epoch:
        return False
    return voted.kind is not VoteKind.NULLIFY or voted.block_hash == ZERO_HASH


def _compute_message(genesis_hash: Hash, voted: Vote | Certificate) -> bytes:
    return compute_vote_bytes(genesis_hash, voted.kind, voted.epoch, voted.view, voted.block_hash)
