"""The exact bytes behind every signature: one domain per meaning, tied to one chain (PROTOCOL §1).

"FLOCKCHAIN/<kind>/v1" ‖ genesis hash ‖ u64 epoch ‖ u64 round ‖ payload. A kind has no slash, so no
kind's bytes are a prefix of another's. Knows what is signed, not by whom: see `voting` for votes.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from flockchain.crypto.hashing import hash_tagged
from flockchain.primitives.codec import U64
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.extrinsic import EXTRINSIC_PAYLOAD, ExtrinsicPayload
from flockchain.primitives.learning import SCORE_REVEAL, SCORE_VOTE, ScoreCommit, ScoreReveal, ScoreVote
from flockchain.primitives.numbers import HASH_BYTES, AccountId, Epoch, Hash, Round, TaskId, View
from flockchain.primitives.vote import VoteKind

__all__ = [
    "Domain", "compute_aggregate_bytes", "compute_extrinsic_bytes", "compute_handshake_bytes", "compute_reveal_bytes",
    "compute_score_commit_bytes", "compute_score_commitment", "compute_score_reveal_bytes", "compute_signing_bytes",
    "compute_vote_bytes",
]  # fmt: skip

_ED25519_SIGNATURE_BYTES = 64


class Domain(StrEnum):
    """What a signature means. Members are append-only."""

    EXTRINSIC = "extrinsic"
    NOTARIZE = "notarize"
    NULLIFY = "nullify"
    FINALIZE = "finalize"
    RANDOMNESS = "randomness"
    SCORE_COMMIT = "score-commit"
    SCORE_REVEAL = "score-reveal"
    AGGREGATE = "aggregate"
    HANDSHAKE = "handshake"


_DOMAIN_OF_VOTE = {
    VoteKind.NOTARIZE: Domain.NOTARIZE,
    VoteKind.NULLIFY: Domain.NULLIFY,
    VoteKind.FINALIZE: Domain.FINALIZE,
}
_PREFIX = {domain: b"FLOCKCHAIN/" + domain.value.encode("ascii") + b"/v1" for domain in Domain}


def compute_signing_bytes(domain: Domain, genesis_hash: bytes, epoch: int, round: int, payload: bytes) -> bytes:
    """What is signed for `payload`. `epoch` is the task in learning domains; `round` is the view in consensus ones."""
    return _PREFIX[domain] + genesis_hash + U64.encode(epoch) + U64.encode(round) + payload


def compute_vote_bytes(genesis_hash: Hash, kind: VoteKind, epoch: Epoch, view: View, block_hash: Hash) -> bytes:
    """A consensus vote: one message per (kind, epoch, view, hash). The hash is zero for NULLIFY."""
    return compute_signing_bytes(_DOMAIN_OF_VOTE[kind], genesis_hash, epoch, view, block_hash)


def compute_reveal_bytes(genesis_hash: Hash, epoch: Epoch, view: View) -> bytes:
    """A leader's randomness reveal: nothing but the view, so the signature has no free choice."""
    return compute_signing_bytes(Domain.RANDOMNESS, genesis_hash, epoch, view, b"")


def compute_extrinsic_bytes(genesis_hash: Hash, payload: ExtrinsicPayload) -> bytes:
    """An account's call."""
    return compute_signing_bytes(Domain.EXTRINSIC, genesis_hash, 0, 0, EXTRINSIC_PAYLOAD.encode(payload))


def compute_score_commit_bytes(genesis_hash: Hash, commit: ScoreCommit) -> bytes:
    """A score commit, without its signature."""
    return compute_signing_bytes(
        Domain.SCORE_COMMIT, genesis_hash, commit.task, commit.round, commit.voter + commit.commitment
    )


def compute_score_reveal_bytes(genesis_hash: Hash, reveal: ScoreReveal) -> bytes:
    """A score reveal, audit rows included, without its signature."""
    unsigned = SCORE_REVEAL.encode(replace(reveal, signature=bytes(_ED25519_SIGNATURE_BYTES)))
    payload = unsigned[:-_ED25519_SIGNATURE_BYTES]
    return compute_signing_bytes(Domain.SCORE_REVEAL, genesis_hash, reveal.task, reveal.round, payload)


def compute_aggregate_bytes(
    genesis_hash: Hash, task: TaskId, round: Round, results_root: Hash, aggregate: Hash, aggregate_bytes: int
) -> bytes:
    """What a committee member certifies of a round: its results and the one aggregate that follows."""
    payload = results_root + aggregate + U64.encode(aggregate_bytes)
    return compute_signing_bytes(Domain.AGGREGATE, genesis_hash, task, round, payload)


def compute_handshake_bytes(genesis_hash: Hash, payload: bytes) -> bytes:
    """What a node's identity signs to bind a connection to itself and to this chain."""
    return compute_signing_bytes(Domain.HANDSHAKE, genesis_hash, 0, 0, payload)


def compute_score_commitment(vote: ScoreVote, salt: Hash, voter: AccountId) -> Hash:
    """H(vote ‖ salt ‖ voter), which a reveal must open (V3). Salt and voter are 32 bytes each, so it is injective."""
    if len(salt) != HASH_BYTES or len(voter) != HASH_BYTES:
        raise InvalidInput("a commitment takes a salt and a voter of 32 bytes", salt=len(salt), voter=len(voter))
    return hash_tagged("score-commitment", SCORE_VOTE.encode(vote) + salt + voter)
