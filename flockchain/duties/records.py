"""What a member has signed in rounds: journal records, and the memory that they restore.

One score commit and one aggregate vote a round, ever. A record holds what is needed to say the same again and to open
the commit later. Does not know disks: the host keeps the bytes in order and hands them back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flockchain.primitives.codec import HASH, I64, U32, U64, ListOf, UnionOf, struct
from flockchain.primitives.errors import invariant
from flockchain.primitives.learning import SCORE_VOTE, ScoreVote
from flockchain.primitives.limits import PROMPTS_PER_ROUND_MAX
from flockchain.primitives.numbers import Hash, MicroNats, Round, TaskId

__all__ = ["DUTY_RECORD", "AggregateDuty", "CommitDuty", "DutyMemory"]


@dataclass(frozen=True, slots=True)
class CommitDuty:
    """We commit to this vote; `losses` is its evidence."""

    task: TaskId
    round: Round
    vote: ScoreVote
    losses: tuple[MicroNats, ...]


@dataclass(frozen=True, slots=True)
class AggregateDuty:
    """We sign this aggregate."""

    task: TaskId
    round: Round
    results_root: Hash
    aggregate: Hash
    aggregate_bytes: int


DutyRecord = CommitDuty | AggregateDuty
DUTY_RECORD = UnionOf(
    {
        0: struct(CommitDuty, task=U32, round=U32, vote=SCORE_VOTE, losses=ListOf(I64, PROMPTS_PER_ROUND_MAX)),
        1: struct(AggregateDuty, task=U32, round=U32, results_root=HASH, aggregate=HASH, aggregate_bytes=U64),
    }
)

_Key = tuple[TaskId, Round]


class DutyMemory:
    """The first record of each kind and round counts; a second one is a mistake of ours."""

    def __init__(self, records: Iterable[bytes]) -> None:
        self.commits: dict[_Key, CommitDuty] = {}
        self.aggregates: dict[_Key, AggregateDuty] = {}
        for raw in records:
            self._keep(DUTY_RECORD.decode(raw))

    def add(self, record: DutyRecord) -> bytes:
        """Remember `record` and return its bytes for the journal."""
        self._keep(record)
        return DUTY_RECORD.encode(record)

    def get_records(self) -> list[bytes]:
        """All records still remembered: what a compacted journal holds."""
        kept: list[DutyRecord] = [*self.commits.values(), *self.aggregates.values()]
        return [DUTY_RECORD.encode(record) for record in kept]

    def get_keys(self) -> set[_Key]:
        """The rounds that are remembered."""
        return {*self.commits, *self.aggregates}

    def forget(self, key: _Key) -> None:
        """A round is over: nothing of it can be signed again."""
        self.commits.pop(key, None)
        self.aggregates.pop(key, None)

    def _keep(self, record: DutyRecord) -> None:
        key = (record.task, record.round)
        if isinstance(record, CommitDuty):
            invariant(key not in self.commits, "one commit a round", task=record.task, round=record.round)
            self.commits[key] = record
        else:
            invariant(key not in self.aggregates, "one aggregate vote a round", task=record.task, round=record.round)
            self.aggregates[key] = record
