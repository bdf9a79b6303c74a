"""Objective faults: two signatures of one validator of which an honest one gives at most one. They cost stake.

Evidence is verified against the set (or committee) of its own epoch. An offence is (epoch, view, kind, offender) and
counts once. The offender and its delegators lose a fraction, unbonding stake included; most of it is burned, and the
proposer that brought the evidence gets a minor part; the offender is chilled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from flockchain.crypto import ed25519
from flockchain.crypto.signing import compute_score_commit_bytes
from flockchain.crypto.voting import verify_vote
from flockchain.primitives.codec import HASH, U64, U128, EnumOf, struct
from flockchain.primitives.errors import InvalidInput, invariant
from flockchain.primitives.evidence import EVIDENCE, ScoreEvidence, VoteEvidence
from flockchain.primitives.learning import SCORE_COMMIT, ScoreCommit
from flockchain.primitives.numbers import AccountId, Epoch, Height, Round, Stake, TaskId
from flockchain.primitives.validator_set import ValidatorSet
from flockchain.primitives.vote import VOTE, Vote, VoteKind
from flockchain.runtime.frame import Context, Pallet, StateReader, StorageMap, TupleOf
from flockchain.runtime.genesis_config import GenesisConfig, compute_last_height

__all__ = ["EvidenceForged", "EvidenceInvalid", "EvidenceKnown", "OffenceKind", "OffenceReported", "Offences"]


class OffenceKind(IntEnum):
    """What was signed twice."""

    DOUBLE_NOTARIZE = 0  # a leader's two proposals, too: a proposal carries the leader's notarize vote
    DOUBLE_FINALIZE = 1
    NULLIFY_AND_FINALIZE = 2
    DOUBLE_SCORE = 3


# Events


@dataclass(frozen=True, slots=True)
class OffenceReported:
    """An offence was proven. For DOUBLE_SCORE, `view` is task · 2^32 + round."""

    offender: AccountId
    epoch: Epoch
    view: int
    kind: OffenceKind
    slashed: Stake


# Refusals


class EvidenceInvalid(InvalidInput):
    """Evidence that proves nothing."""


class EvidenceForged(EvidenceInvalid):
    """Evidence with a signature that is not the accused's."""


class EvidenceKnown(InvalidInput):
    """An offence counts once."""


# Needs


class Stakes(Protocol):
    """Who was in a set, and whose stake answers."""

    def get_validator_set(self, state: StateReader, epoch: Epoch) -> ValidatorSet: ...

    def slash(
        self, ctx: Context, validator: AccountId, fraction_bps: int, offence_epoch: Epoch, reporter: AccountId | None
    ) -> Stake: ...

    def jail(self, ctx: Context, validator: AccountId) -> None: ...


class Committees(Protocol):
    """Which score key a member of a round's committee had, and the epoch of the draw."""

    def get_score_member(
        self, state: StateReader, task: TaskId, round: Round, voter: AccountId
    ) -> tuple[bytes, Epoch] | None: ...


# Storage

OffenceKey = tuple[Epoch, int, OffenceKind, AccountId]
REPORTED: Final = StorageMap[OffenceKey, Height](
    "offences", "reported", TupleOf(U64, U64, EnumOf(OffenceKind), HASH), U64
)


class Offences(Pallet):
    """See the module."""

    name = "offences"
    index = 3
    events = {  # noqa: RUF012
        0: struct(OffenceReported, offender=HASH, epoch=U64, view=U64, kind=EnumOf(OffenceKind), slashed=U128)
    }

    def __init__(self, config: GenesisConfig, stakes: Stakes, committees: Committees) -> None:
        self._config = config
        self._stakes = stakes
        self._committees = committees

    # Hooks

    def on_finalize(self, ctx: Context) -> None:
        """At the end of an epoch, forget what is too old to be reported again."""
        epoch = ctx.block.epoch
        oldest = epoch - self._config.staking.evidence_age_epochs
        if ctx.block.height != compute_last_height(self._config, epoch) or oldest < 0:
            return
        for key in [key for key, _ in REPORTED.items(ctx.state, first=(Epoch(oldest),))]:
            REPORTED.delete(ctx.state, key)

    # Steps of the executive

    def apply_evidence(self, ctx: Context, raw: bytes) -> None:
        """Verify encoded evidence and punish the offender. Raises `InvalidInput` if it proves nothing new."""
        (epoch, view, kind, offender), fraction_bps = self.require_offence(ctx, raw)
        key = (epoch, view, kind, offender)
        REPORTED.set(ctx.state, key, ctx.block.height)
        reporter = ctx.block.proposer if ctx.block.proposer != offender else None
        slashed = self._stakes.slash(ctx, offender, fraction_bps, epoch, reporter)
        self._stakes.jail(ctx, offender)
        ctx.deposit(OffenceReported(offender, epoch, view, kind, slashed))

    def require_offence(self, ctx: Context, raw: bytes) -> tuple[OffenceKey, int]:
        """Which offence encoded evidence proves, and its fraction of the stake in bps. Changes nothing.

        Raises `EvidenceForged` for what nobody honest passes on, and other `InvalidInput` if it proves nothing new.
        """
        evidence = EVIDENCE.decode(raw)
        if isinstance(evidence, VoteEvidence):
            key = self._require_double_vote(ctx, evidence)
            fraction_bps = self._config.offences.double_vote_bps
        else:
            key = self._require_double_score(ctx, evidence)
            fraction_bps = self._config.offences.double_score_bps
        if REPORTED.contains(ctx.state, key):
            raise EvidenceKnown("the offence was reported before", epoch=key[0], view=key[1], offender=key[3])
        return key, fraction_bps

    def _require_double_vote(self, ctx: Context, evidence: VoteEvidence) -> OffenceKey:
        first, second = evidence.first, evidence.second
        _require_order(VOTE.encode(first), VOTE.encode(second))
        if (first.epoch, first.view, first.signer) != (second.epoch, second.view, second.signer):
            raise EvidenceInvalid("the votes are not of one signer in one view", views=(first.view, second.view))
        kind = _compute_kind(first, second)
        self._require_recent(ctx, first.epoch)
        validators = self._stakes.get_validator_set(ctx.state, first.epoch)
        for vote in (first, second):
            if not verify_vote(ctx.block.crypto, ctx.block.genesis_hash, validators, vote):
                raise EvidenceForged("the vote is not signed by that member", signer=vote.signer, view=vote.view)
        return first.epoch, first.view, kind, validators.validators[first.signer].account

    def _require_double_score(self, ctx: Context, evidence: ScoreEvidence) -> OffenceKey:
        first, second = evidence.first, evidence.second
        _require_order(SCORE_COMMIT.encode(first), SCORE_COMMIT.encode(second))
        if (first.task, first.round, first.voter) != (second.task, second.round, second.voter):
            raise EvidenceInvalid("the commits are not of one voter in one round", rounds=(first.round, second.round))
        if first.commitment == second.commitment:
            raise EvidenceInvalid("the commits say the same", voter=first.voter)
        member = self._committees.get_score_member(ctx.state, first.task, first.round, first.voter)
        if member is None:
            raise EvidenceInvalid("the voter was not in that committee", voter=first.voter, task=first.task)
        score_key, epoch = member
        self._require_recent(ctx, epoch)
        for commit in (first, second):
            if not _is_signed(ctx, commit, score_key):
                raise EvidenceForged("the commit is not signed by that member", voter=commit.voter)
        return epoch, first.task << 32 | first.round, OffenceKind.DOUBLE_SCORE, first.voter

    def _require_recent(self, ctx: Context, epoch: Epoch) -> None:
        now, age = ctx.block.epoch, self._config.staking.evidence_age_epochs
        if not now - age <= epoch <= now:
            raise EvidenceInvalid("the evidence is too old or of an epoch to come", epoch=epoch, now=now, most=age)

    # Views

    def is_reported(self, state: StateReader, epoch: Epoch, view: int, kind: OffenceKind, offender: AccountId) -> bool:
        """Whether that offence has been punished."""
        return REPORTED.contains(state, (epoch, view, kind, offender))

    def get_constants(self) -> Mapping[str, int | str]:
        rules = self._config.offences
        return {
            "double_vote_bps": rules.double_vote_bps, "double_score_bps": rules.double_score_bps,
            "reporter_bps": rules.reporter_bps,
        }  # fmt: skip

    def try_state(self, state: StateReader) -> None:
        for (epoch, view, kind, offender), height in REPORTED.items(state):
            at_least = epoch * self._config.epoch_blocks
            invariant(height > at_least, "an offence is reported after it happened", epoch=epoch, view=view,
                      offender=offender)  # fmt: skip
            members = self._stakes.get_validator_set(state, epoch)
            is_member = members.get_index_of(offender) is not None
            invariant(is_member, "an offender was in its epoch's set", epoch=epoch, offender=offender, kind=kind.name)


def _require_order(first: bytes, second: bytes) -> None:
    if first >= second:
        raise EvidenceInvalid("evidence names two different records, the smaller encoding first")


def _compute_kind(first: Vote, second: Vote) -> OffenceKind:
    kinds = {first.kind, second.kind}
    if kinds == {VoteKind.NULLIFY, VoteKind.FINALIZE}:
        return OffenceKind.NULLIFY_AND_FINALIZE
    if len(kinds) == 1 and first.block_hash != second.block_hash:
        if VoteKind.NOTARIZE in kinds:
            return OffenceKind.DOUBLE_NOTARIZE
        if VoteKind.FINALIZE in kinds:
            return OffenceKind.DOUBLE_FINALIZE
    raise EvidenceInvalid("an honest validator may sign both", first=first.kind.name, second=second.kind.name)


def _is_signed(ctx: Context, commit: ScoreCommit, score_key: bytes) -> bool:
    return ed25519.verify(score_key, compute_score_commit_bytes(ctx.block.genesis_hash, commit), commit.signature)
