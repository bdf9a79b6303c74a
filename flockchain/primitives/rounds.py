"""Records of a task's life and of its rounds, as the state keeps them and as everyone reads them (PROTOCOL §4).

`RoundRecord` is the whole of a round for readers: the runtime puts it together, duties, pools and services read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from flockchain.primitives.codec import (
    HASH,
    U16,
    U32,
    U64,
    U128,
    EnumOf,
    FixedBytes,
    ListOf,
    OptionOf,
    struct,
)
from flockchain.primitives.learning import (
    SCORE_VOTE,
    TASK_SPEC,
    UPDATE_RECORD,
    VERDICT,
    Phase,
    ScoreVote,
    TaskSpec,
    UpdateRecord,
    Verdict,
)
from flockchain.primitives.limits import AUDIT_ROWS_MAX, COMMITTEE_MAX, UPDATES_PER_ROUND_MAX
from flockchain.primitives.numbers import AccountId, Balance, Hash, Height, Round, Stake, TaskId

__all__ = [
    "COMMITTEE_MEMBER", "COMMIT_RECORD", "LINEAGE_ENTRY", "REVEAL_RECORD", "ROUND_RECORD", "TASK_RECORD",
    "CommitRecord", "CommitteeMember", "LineageEntry", "RevealRecord", "RoundRecord", "TaskRecord", "TaskStatus",
    "VoidReason",
]  # fmt: skip


class TaskStatus(IntEnum):
    """Where a task is."""

    OPEN = 0  # a round is under way
    FINISHED = 1  # its rounds are over; what was left of the pool went back
    CANCELLED = 2  # by its creator, before the first update


class VoidReason(IntEnum):
    """Why a round ended without moving the model."""

    NONE = 0  # it has not
    TOO_FEW_UPDATES = 1
    NO_COMMIT_QUORUM = 2
    NO_REVEAL_QUORUM = 3
    NONE_ACCEPTED = 4
    NO_CERTIFICATE = 5
    CANCELLED = 6


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task: what it fixes and how far it is. `round` is the current round (the last one when it is over)."""

    task: TaskId
    creator: AccountId
    status: TaskStatus
    created: Height
    round: Round
    rounds_advanced: int
    pool_left: Balance
    spec: TaskSpec


@dataclass(frozen=True, slots=True)
class CommitteeMember:
    """A drawn member with the stake and the keys that count in its round. A committee is ascending by account."""

    account: AccountId
    stake: Stake
    score_key: bytes  # ed25519, 32 bytes
    certificate_key: bytes  # BLS, 48 bytes


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """A member's commitment, and the block that carried it."""

    voter: AccountId
    commitment: Hash
    height: Height


@dataclass(frozen=True, slots=True)
class RevealRecord:
    """A member's opened vote."""

    voter: AccountId
    vote: ScoreVote


@dataclass(frozen=True, slots=True)
class LineageEntry:
    """One step of a task's model: which aggregate, certified by which part of the committee's stake."""

    round: Round
    height: Height  # of the block that carried the certificate
    results_root: Hash
    aggregate: Hash  # blob root
    aggregate_bytes: int
    updates: int  # how many updates it adds up
    signed_stake: Stake
    committee_stake: Stake


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """All that the state says of a round. What has not happened yet is empty, zero or a zero hash.

    Items of a phase are taken in blocks up to `deadline`. `closed` is the height at which SUBMIT or COMMIT closed
    while its draw waits for the next block's randomness, else 0. `updates` is final from there on; verdicts follow it.
    """

    task: TaskId
    round: Round
    phase: Phase
    void_reason: VoidReason
    opened: Height
    phase_opened: Height
    deadline: Height
    closed: Height
    ended: Height
    updates: tuple[UpdateRecord, ...]
    seed: Hash
    committee: tuple[CommitteeMember, ...]
    audit_positions: tuple[int, ...]  # into the round's draw of prompts, ascending; known from REVEAL on
    commits: tuple[CommitRecord, ...]
    reveals: tuple[RevealRecord, ...]
    verdicts: tuple[Verdict, ...]
    results_root: Hash
    certified: LineageEntry | None

    @property
    def committee_stake(self) -> Stake:
        return Stake(sum(member.stake for member in self.committee))

    def get_member_index(self, account: AccountId) -> int | None:
        """The position of a member in the committee (as certificates' bitmaps count), or None."""
        for index, member in enumerate(self.committee):
            if member.account == account:
                return index
        return None


TASK_RECORD = struct(
    TaskRecord, task=U32, creator=HASH, status=EnumOf(TaskStatus), created=U64, round=U32, rounds_advanced=U32,
    pool_left=U128, spec=TASK_SPEC,
)  # fmt: skip
COMMITTEE_MEMBER = struct(
    CommitteeMember, account=HASH, stake=U128, score_key=FixedBytes(32), certificate_key=FixedBytes(48)
)
COMMIT_RECORD = struct(CommitRecord, voter=HASH, commitment=HASH, height=U64)
REVEAL_RECORD = struct(RevealRecord, voter=HASH, vote=SCORE_VOTE)
LINEAGE_ENTRY = struct(
    LineageEntry, round=U32, height=U64, results_root=HASH, aggregate=HASH, aggregate_bytes=U64, updates=U16,
    signed_stake=U128, committee_stake=U128,
)  # fmt: skip
ROUND_RECORD = struct(
    RoundRecord, task=U32, round=U32, phase=EnumOf(Phase), void_reason=EnumOf(VoidReason), opened=U64,
    phase_opened=U64, deadline=U64, closed=U64, ended=U64, updates=ListOf(UPDATE_RECORD, UPDATES_PER_ROUND_MAX),
    seed=HASH, committee=ListOf(COMMITTEE_MEMBER, COMMITTEE_MAX), audit_positions=ListOf(U32, AUDIT_ROWS_MAX),
    commits=ListOf(COMMIT_RECORD, COMMITTEE_MAX), reveals=ListOf(REVEAL_RECORD, COMMITTEE_MAX),
    verdicts=ListOf(VERDICT, UPDATES_PER_ROUND_MAX), results_root=HASH, certified=OptionOf(LINEAGE_ENTRY),
)  # fmt: skip
