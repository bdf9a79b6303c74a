"""Trainers' updates: commitments to bytes that live in blob stores, each behind a bond (PROTOCOL §4, SUBMIT).

An update is a blob root, a size and a digest. One a trainer and round; the first ones in are taken. The set is closed
before any vote, because scores are leave-one-out. Does not judge anything and never sees the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from flockchain.primitives.codec import HASH, U16, U32, U64, struct
from flockchain.primitives.errors import Refused, invariant
from flockchain.primitives.learning import UPDATE_RECORD, Phase, TaskSpec, UpdateRecord
from flockchain.primitives.numbers import AccountId, Balance, Hash, Round, TaskId
from flockchain.runtime.frame import CallContext, CallSpec, Pallet, State, StateReader, StorageMap, TupleOf
from flockchain.runtime.rounds import CLOCKS, ROUND_KEY, RoundKey, schedule

__all__ = [
    "POT", "RoundFull", "SubmissionsClosed", "SubmitUpdate", "UpdateRepeated", "UpdateSizeRefused", "UpdateSubmitted",
    "Updates", "get_updates",
]  # fmt: skip

POT: Final = "bonds"


# Events


@dataclass(frozen=True, slots=True)
class UpdateSubmitted:
    """A trainer committed to an update."""

    task: TaskId
    round: Round
    index: int
    trainer: AccountId
    blob: Hash
    size_bytes: int
    digest: Hash


# Refusals


class SubmissionsClosed(Refused):
    """The round does not take updates: another round is current, or its set is closed."""

    def __init__(self, task: TaskId, round: Round, current: Round) -> None:
        super().__init__("the round takes no updates now", task=task, round=round, current=current)


class UpdateSizeRefused(Refused):
    """An empty update, or one over the task's limit."""

    def __init__(self, size_bytes: int, most: int) -> None:
        super().__init__("the update's size is not allowed", size_bytes=size_bytes, most=most)


class RoundFull(Refused):
    """The round has as many updates as the task takes."""

    def __init__(self, task: TaskId, round: Round, most: int) -> None:
        super().__init__("the round is full", task=task, round=round, most=most)


class UpdateRepeated(Refused):
    """One update a trainer and round."""

    def __init__(self, task: TaskId, round: Round, trainer: AccountId) -> None:
        super().__init__("the trainer has an update in this round already", task=task, round=round, trainer=trainer)


# Needs


class Bank(Protocol):
    """Pots of balances."""

    def collect(self, state: State, account: AccountId, pot: str, amount: Balance) -> None: ...

    def get_pot(self, state: StateReader, pot: str) -> Balance: ...


class Tasks(Protocol):
    """What tasks fix, and which round is current."""

    def require_open(self, state: StateReader, task: TaskId) -> tuple[TaskSpec, Round]: ...

    def count_update(self, state: State, task: TaskId) -> None: ...

    def get_updates_total(self, state: StateReader, task: TaskId) -> int: ...


# Storage


@dataclass(frozen=True, slots=True)
class SubmitUpdate:
    """Arguments of `submit`."""

    task: TaskId
    round: Round
    blob: Hash
    size_bytes: int
    digest: Hash


COUNTS: Final = StorageMap[RoundKey, int]("updates", "count", ROUND_KEY, U16)
RECORDS: Final = StorageMap[tuple[TaskId, Round, int], UpdateRecord](
    "updates", "record", TupleOf(U32, U32, U16), UPDATE_RECORD
)
INDEXES: Final = StorageMap[tuple[TaskId, Round, AccountId], int]("updates", "index", TupleOf(U32, U32, HASH), U16)


class Updates(Pallet):
    """See the module."""

    name = "updates"
    index = 5
    events = {  # noqa: RUF012
        0: struct(UpdateSubmitted, task=U32, round=U32, index=U16, trainer=HASH, blob=HASH, size_bytes=U64, digest=HASH)
    }

    def __init__(self, tasks: Tasks, bank: Bank) -> None:
        self._tasks = tasks
        self._bank = bank
        arguments = struct(SubmitUpdate, task=U32, round=U32, blob=HASH, size_bytes=U64, digest=HASH)
        self.calls = (CallSpec(0, "submit", arguments, 200, self.submit),)

    # Calls

    def submit(self, ctx: CallContext, arguments: SubmitUpdate) -> None:
        """Commit to an update in the current round; the task's bond is taken until the round is over."""
        state, trainer, task, round_ = ctx.state, ctx.sender, arguments.task, arguments.round
        spec, current = self._tasks.require_open(state, task)
        clock = CLOCKS.get(state, (task, round_))
        if round_ != current or clock is None or not clock.is_taking(Phase.SUBMIT, ctx.block.height):
            raise SubmissionsClosed(task, round_, current)
        if not 0 < arguments.size_bytes <= spec.max_update_bytes:
            raise UpdateSizeRefused(arguments.size_bytes, spec.max_update_bytes)
        if INDEXES.contains(state, (task, round_, trainer)):
            raise UpdateRepeated(task, round_, trainer)
        count = self.get_count(state, task, round_)
        if count >= spec.max_updates:
            raise RoundFull(task, round_, spec.max_updates)
        self._bank.collect(state, trainer, POT, spec.update_bond)
        record = UpdateRecord(trainer, arguments.blob, arguments.size_bytes, arguments.digest, spec.update_bond)
        RECORDS.set(state, (task, round_, count), record)
        INDEXES.set(state, (task, round_, trainer), count)
        COUNTS.set(state, (task, round_), count + 1)
        self._tasks.count_update(state, task)
        if count + 1 == spec.max_updates:
            schedule(state, task, ctx.block.height)
        ctx.deposit(UpdateSubmitted(
            task, round_, count, trainer, arguments.blob, arguments.size_bytes, arguments.digest
        ))  # fmt: skip

    # Views

    def get_count(self, state: StateReader, task: TaskId, round: Round) -> int:
        """How many updates the round has."""
        return COUNTS.get_or(state, (task, round), 0)

    def get_updates(self, state: StateReader, task: TaskId, round: Round) -> tuple[UpdateRecord, ...]:
        """The round's updates in the order of their commitment."""
        return get_updates(state, task, round)

    def try_state(self, state: StateReader) -> None:
        held = 0
        indexes = dict(INDEXES.items(state))
        totals: dict[TaskId, int] = {}
        for (task, round_), count in COUNTS.items(state):
            totals[task] = totals.get(task, 0) + count
            records = get_updates(state, task, round_)
            trainers = {record.trainer for record in records}
            invariant(len(trainers) == count, "one update a trainer", task=task, round=round_, count=count)
            found = [indexes.pop((task, round_, record.trainer), None) for record in records]
            invariant(found == list(range(count)), "an update is found by its trainer", task=task, round=round_)
            is_over = CLOCKS.require(state, (task, round_)).phase in (Phase.ADVANCED, Phase.VOID)
            held += 0 if is_over else sum(record.bond for record in records)
        invariant(held == self._bank.get_pot(state, POT), "the pot holds the bonds of rounds under way", bonds=held)
        records_kept = sum(1 for _ in RECORDS.items(state))
        invariant(not indexes and records_kept == sum(totals.values()), "no update is left over", left=len(indexes))
        for task, total in totals.items():
            counted = self._tasks.get_updates_total(state, task)
            invariant(total == counted, "a task counts its updates", task=task, updates=total, counted=counted)


def get_updates(state: StateReader, task: TaskId, round: Round) -> tuple[UpdateRecord, ...]:
    """The round's updates in the order of their commitment."""
    count = COUNTS.get_or(state, (task, round), 0)
    return tuple(RECORDS.require(state, (task, round, index)) for index in range(count))
