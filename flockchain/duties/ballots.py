"""What a member signs in a round: its vote on the results of an evaluation, commit, reveal, aggregate vote.

The same input gives the same bytes each time: the salt comes from the score key, and ed25519 and BLS have no chance.
Does not know when to sign, nor whether something else was signed before: that is the core's and its records'.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace

from flockchain.crypto import ed25519
from flockchain.crypto.bls import BlsBackend
from flockchain.crypto.signing import (
    compute_aggregate_bytes,
    compute_score_commit_bytes,
    compute_score_commitment,
    compute_score_reveal_bytes,
)
from flockchain.duties.evidence import compute_audit_rows, compute_evidence_root
from flockchain.duties.orders import EvaluateDone, EvaluateOrder
from flockchain.duties.records import AggregateDuty, CommitDuty
from flockchain.primitives.codec import U32
from flockchain.primitives.learning import (
    AggregateVote,
    ScoreCommit,
    ScoreReveal,
    ScoreVote,
    UpdateScore,
    UpdateStatus,
)
from flockchain.primitives.limits import SCORE_ABS_MAX
from flockchain.primitives.numbers import ZERO_HASH, AccountId, Hash, Score
from flockchain.primitives.rounds import CommitteeMember

__all__ = ["DutyKeys", "Signer", "build_vote", "is_sound"]

_NO_SIGNATURE = bytes(ed25519.SIGNATURE_BYTES)
_SALT_TAG = b"FLOCKCHAIN/score-salt\0"


@dataclass(frozen=True, slots=True, repr=False)
class DutyKeys:
    """Who we are, and the two secrets that rounds need."""

    account: AccountId
    score_seed: bytes  # ed25519
    certificate_secret: bytes  # BLS


class Signer:
    """Signs with one member's keys on one chain."""

    def __init__(self, genesis_hash: Hash, bls: BlsBackend, keys: DutyKeys) -> None:
        self._genesis_hash = genesis_hash
        self._bls = bls
        self._keys = keys
        self._score_key = ed25519.get_public_key(keys.score_seed)
        self._certificate_key = bls.get_public_key(keys.certificate_secret)

    def is_member(self, member: CommitteeMember) -> bool:
        """Whether the member is us, with the keys that we hold."""
        own = (self._keys.account, self._score_key, self._certificate_key)
        return (member.account, member.score_key, member.certificate_key) == own

    def compute_commitment(self, duty: CommitDuty) -> Hash:
        """What a commit to the journaled vote says."""
        return compute_score_commitment(duty.vote, self._compute_salt(duty), self._keys.account)

    def build_commit(self, duty: CommitDuty) -> ScoreCommit:
        """The commit to the journaled vote."""
        commitment = self.compute_commitment(duty)
        commit = ScoreCommit(duty.task, duty.round, self._keys.account, commitment, _NO_SIGNATURE)
        message = compute_score_commit_bytes(self._genesis_hash, commit)
        return replace(commit, signature=ed25519.sign(self._keys.score_seed, message))

    def build_reveal(self, duty: CommitDuty, positions: Sequence[int]) -> ScoreReveal:
        """The journaled vote, opened, with the evidence at `positions` if it has any."""
        audit = compute_audit_rows(duty.losses, positions) if duty.losses else ()
        salt = self._compute_salt(duty)
        reveal = ScoreReveal(duty.task, duty.round, self._keys.account, duty.vote, salt, audit, _NO_SIGNATURE)
        message = compute_score_reveal_bytes(self._genesis_hash, reveal)
        return replace(reveal, signature=ed25519.sign(self._keys.score_seed, message))

    def build_aggregate_vote(self, duty: AggregateDuty) -> AggregateVote:
        """Our part of the round's aggregate certificate."""
        subject = (duty.task, duty.round, duty.results_root, duty.aggregate, duty.aggregate_bytes)
        message = compute_aggregate_bytes(self._genesis_hash, *subject)
        return AggregateVote(*subject, self._keys.account, self._bls.sign(self._keys.certificate_secret, message))

    def _compute_salt(self, duty: CommitDuty) -> Hash:
        message = _SALT_TAG + self._genesis_hash + U32.encode(duty.task) + U32.encode(duty.round)
        return Hash(hmac.new(self._keys.score_seed, message, hashlib.sha256).digest())


def is_sound(order: EvaluateOrder, result: EvaluateDone) -> bool:
    """Whether a result answers its order: one entry an update, integers in range, a loss for each drawn row."""
    updates = len(order.updates)
    if len(result.findings) != updates or len(result.scores) != updates:
        return False
    if not all(score is None or _is_measure(score) for score in result.scores):
        return False
    has_score = any(score is not None for score in result.scores)
    is_complete = len(result.losses) == len(order.rows) and all(_is_measure(loss) for loss in result.losses)
    return is_complete or (not has_score and not result.losses)


def build_vote(
    order: EvaluateOrder,
    findings: Sequence[UpdateStatus | None],
    scores: Sequence[int | None],
    losses: Sequence[int],
) -> ScoreVote:
    """One entry an update: its finding, UNAVAILABLE without bytes, its score, or ABSTAIN. Empty: nothing known."""
    entries: list[UpdateScore] = []
    for index, is_available in enumerate(order.is_available):
        finding = findings[index] if findings else None
        score = scores[index] if scores else None
        if finding is None and not is_available:
            finding = UpdateStatus.UNAVAILABLE
        if finding is not None:
            entries.append(UpdateScore(finding, Score(0)))
        elif score is None:
            entries.append(UpdateScore(UpdateStatus.ABSTAIN, Score(0)))
        else:
            entries.append(UpdateScore(UpdateStatus.SCORED, Score(score)))
    is_scored = any(entry.status is UpdateStatus.SCORED for entry in entries)
    return ScoreVote(tuple(entries), compute_evidence_root(losses) if is_scored else ZERO_HASH)


def _is_measure(value: object) -> bool:
    return type(value) is int and abs(value) <= SCORE_ABS_MAX
