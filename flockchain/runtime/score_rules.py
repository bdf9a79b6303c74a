"""What a score commit, a reveal and an aggregate certificate must be to stand in a block (V1, V3, V4).

Pure checks on items against what the state says of their round. Every error is an `InvalidInput`: a block that carries
such an item is invalid. Does not read or write state.
"""

from __future__ import annotations

from collections.abc import Sequence

from flockchain.crypto.bls import BlsBackend
from flockchain.crypto.ed25519 import verify
from flockchain.crypto.merkle import verify_audit_path
from flockchain.crypto.signing import (
    compute_aggregate_bytes,
    compute_score_commit_bytes,
    compute_score_commitment,
    compute_score_reveal_bytes,
)
from flockchain.primitives.codec import I64
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AggregateCertificate, ScoreCommit, ScoreReveal, ScoreVote, UpdateStatus
from flockchain.primitives.limits import BLOB_BYTES_MAX, SCORE_ABS_MAX
from flockchain.primitives.numbers import ZERO_HASH, Hash, Stake, is_quorum
from flockchain.primitives.rounds import CommitteeMember
from flockchain.primitives.vote import decode_bitmap, encode_bitmap

__all__ = [
    "AuditWrong", "CertificateWrong", "ItemOutOfPlace", "ItemRepeated", "ItemSignatureWrong", "NotMember",
    "RevealOpensNothing", "VoteIllFormed", "require_audit", "require_certificate", "require_commit_signature",
    "require_opening", "require_reveal_signature", "require_vote_shape",
]  # fmt: skip


class ItemOutOfPlace(InvalidInput):
    """An item of a round that does not exist or is in another phase (V1)."""


class NotMember(InvalidInput):
    """An item of an account that was not drawn into the round's committee (V1)."""


class ItemRepeated(InvalidInput):
    """A second commit or reveal of a member in a round (V1)."""


class ItemSignatureWrong(InvalidInput):
    """An item that the member's key did not sign (V1)."""


class VoteIllFormed(InvalidInput):
    """A vote that does not speak of exactly the updates of the round, in range (V1)."""


class RevealOpensNothing(InvalidInput):
    """A reveal that is not what the member committed to (V3)."""


class AuditWrong(InvalidInput):
    """A reveal whose evidence does not open at the drawn positions (V3)."""


class CertificateWrong(InvalidInput):
    """An aggregate certificate without quorum, or over anything but the round's results (V4)."""


def require_commit_signature(genesis_hash: Hash, member: CommitteeMember, commit: ScoreCommit) -> None:
    """V1: the member's score key signed the commit."""
    if not verify(member.score_key, compute_score_commit_bytes(genesis_hash, commit), commit.signature):
        raise ItemSignatureWrong("the commit is not signed by its voter", voter=commit.voter, round=commit.round)


def require_reveal_signature(genesis_hash: Hash, member: CommitteeMember, reveal: ScoreReveal) -> None:
    """V1: the member's score key signed the reveal."""
    if not verify(member.score_key, compute_score_reveal_bytes(genesis_hash, reveal), reveal.signature):
        raise ItemSignatureWrong("the reveal is not signed by its voter", voter=reveal.voter, round=reveal.round)


def require_vote_shape(vote: ScoreVote, updates: int) -> None:
    """V1: one entry an update; scores in range and only where there is one; scores need evidence."""
    if len(vote.entries) != updates:
        raise VoteIllFormed("a vote has one entry an update", updates=updates, entries=len(vote.entries))
    for index, entry in enumerate(vote.entries):
        most = SCORE_ABS_MAX if entry.status is UpdateStatus.SCORED else 0
        if abs(entry.score) > most:
            raise VoteIllFormed("a score is out of range", index=index, score=entry.score, most=most)
    is_scored = any(entry.status is UpdateStatus.SCORED for entry in vote.entries)
    if is_scored and vote.evidence_root == ZERO_HASH:
        raise VoteIllFormed("a vote with scores needs evidence", entries=len(vote.entries))


def require_opening(reveal: ScoreReveal, commitment: Hash) -> None:
    """V3: vote, salt and voter hash to the commitment."""
    opened = compute_score_commitment(reveal.vote, reveal.salt, reveal.voter)
    if opened != commitment:
        raise RevealOpensNothing("the reveal does not open its commit", committed=commitment, opened=opened)


def require_audit(reveal: ScoreReveal, positions: Sequence[int], prompts: int) -> None:
    """V3: exactly the drawn positions are opened and verify; a vote without evidence opens nothing."""
    wanted = tuple(positions) if reveal.vote.evidence_root != ZERO_HASH else ()
    got = tuple(row.position for row in reveal.audit)
    if got != wanted:
        raise AuditWrong("the reveal opens other rows than were drawn", drawn=wanted, opened=got)
    for row in reveal.audit:
        leaf = I64.encode(row.loss)
        if abs(row.loss) > SCORE_ABS_MAX:
            raise AuditWrong("a loss is out of range", position=row.position, loss=row.loss)
        if not verify_audit_path(leaf, row.position, prompts, row.path, reveal.vote.evidence_root):
            raise AuditWrong("an opened row is not in the evidence", position=row.position, loss=row.loss)


def require_certificate(
    crypto: BlsBackend,
    genesis_hash: Hash,
    certificate: AggregateCertificate,
    results_root: Hash,
    committee: Sequence[CommitteeMember],
) -> Stake:
    """V4: more than 2/3 of the committee's stake over exactly these results. Returns the stake that signed."""
    if certificate.results_root != results_root:
        wrong = certificate.results_root
        raise CertificateWrong("the certificate is over other results", results_root=results_root, certified=wrong)
    if not 0 < certificate.aggregate_bytes <= BLOB_BYTES_MAX:
        raise CertificateWrong("the aggregate's size is out of range", size_bytes=certificate.aggregate_bytes)
    signers = decode_bitmap(certificate.signers)
    if encode_bitmap(set(signers)) != certificate.signers or (signers and signers[-1] >= len(committee)):
        raise CertificateWrong("the signers are not members in canonical form", members=len(committee))
    signed = Stake(sum(committee[index].stake for index in signers))
    total = sum(member.stake for member in committee)
    if not is_quorum(signed, total):
        raise CertificateWrong("the certificate has no quorum", signed=signed, total=total)
    message = compute_aggregate_bytes(
        genesis_hash, certificate.task, certificate.round, results_root, certificate.aggregate,
        certificate.aggregate_bytes,
    )  # fmt: skip
    keys = [committee[index].certificate_key for index in signers]
    if not crypto.fast_aggregate_verify(keys, message, certificate.signature):
        raise CertificateWrong("the certificate's signature does not verify", signers=len(signers))
    return signed
