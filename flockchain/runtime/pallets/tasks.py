"""Learning tasks: what each fixes, its reward pool, and how far it is (PROTOCOL §4).

A creator pays the whole reward pool when the task is created. Rounds follow one another while there are any; what
they did not pay out goes back at the end. A creator can cancel only before the first update: nobody's work is lost.
Does not know what happens inside a round: validation begins and ends them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol

from flockchain.primitives.codec import HASH, U8, U32, U64, U128, EnumOf, struct
from flockchain.primitives.errors import Refused, invariant
from flockchain.primitives.learning import TASK_SPEC, Phase, TaskSpec
from flockchain.primitives.limits import TASK_ROUNDS_MAX
from flockchain.primitives.numbers import AccountId, Balance, Height, Round, TaskId
from flockchain.primitives.rounds import TaskRecord, TaskStatus, VoidReason
from flockchain.runtime.frame import (
    CallContext,
    CallSpec,
    Context,
    Pallet,
    State,
    StateReader,
    StorageMap,
    StorageValue,
)
from flockchain.runtime.rounds import CLOCKS, schedule
from flockchain.runtime.task_rules import require_task_spec

__all__ = [
    "POT", "CancelTask", "CreateTask", "NotCreator", "TaskCancelled", "TaskCreated", "TaskFinished", "TaskOver",
    "TaskStarted", "Tasks", "find_task", "list_open_tasks", "list_tasks",
]  # fmt: skip

POT: Final = "tasks"


# Events


@dataclass(frozen=True, slots=True)
class TaskCreated:
    """A task exists; its first round opens at the end of this block."""

    task: TaskId
    creator: AccountId
    reward_pool: Balance


@dataclass(frozen=True, slots=True)
class TaskCancelled:
    """The creator took the task back before the first update."""

    task: TaskId
    returned: Balance


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """The last round is over."""

    task: TaskId
    rounds_advanced: int
    returned: Balance


# Refusals


class TaskOver(Refused):
    """The task has no more rounds."""

    def __init__(self, task: TaskId, status: TaskStatus) -> None:
        super().__init__("the task is over", task=task, status=status.name)


class NotCreator(Refused):
    """Only who created a task can cancel it."""

    def __init__(self, task: TaskId, creator: AccountId, sender: AccountId) -> None:
        super().__init__("only the task's creator can cancel it", task=task, creator=creator, sender=sender)


class TaskStarted(Refused):
    """There are updates already."""

    def __init__(self, task: TaskId, round: Round, updates: int) -> None:
        super().__init__("the task has started", task=task, round=round, updates=updates)


# Needs


class Bank(Protocol):
    """Pots of balances."""

    def collect(self, state: State, account: AccountId, pot: str, amount: Balance) -> None: ...

    def pay(self, state: State, pot: str, account: AccountId, amount: Balance) -> None: ...

    def get_pot(self, state: StateReader, pot: str) -> Balance: ...


# Storage


@dataclass(frozen=True, slots=True)
class CreateTask:
    """Arguments of `create`."""

    spec: TaskSpec


@dataclass(frozen=True, slots=True)
class CancelTask:
    """Arguments of `cancel`."""

    task: TaskId


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """What changes of a task; the fields are those of `TaskRecord`. `updates` counts those of all rounds."""

    creator: AccountId
    status: TaskStatus
    created: Height
    round: Round
    rounds_advanced: int
    updates: int
    pool_left: Balance


NEXT_ID: Final = StorageValue[TaskId]("tasks", "next_id", U32, TaskId(0))
SPECS: Final = StorageMap[TaskId, TaskSpec]("tasks", "spec", U32, TASK_SPEC)
PROGRESS: Final = StorageMap[TaskId, TaskProgress](
    "tasks", "progress", U32,
    struct(
        TaskProgress, creator=HASH, status=EnumOf(TaskStatus), created=U64, round=U32, rounds_advanced=U32,
        updates=U64, pool_left=U128,
    ),
)  # fmt: skip
OPEN: Final = StorageMap[TaskId, int]("tasks", "open", U32, U8)


class Tasks(Pallet):
    """See the module."""

    name = "tasks"
    index = 4
    events = {  # noqa: RUF012
        0: struct(TaskCreated, task=U32, creator=HASH, reward_pool=U128),
        1: struct(TaskCancelled, task=U32, returned=U128),
        2: struct(TaskFinished, task=U32, rounds_advanced=U32, returned=U128),
    }

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self.calls = (
            CallSpec(0, "create", struct(CreateTask, spec=TASK_SPEC), 1_500, self.create),
            CallSpec(1, "cancel", struct(CancelTask, task=U32), 100, self.cancel),
        )

    # Calls

    def create(self, ctx: CallContext, arguments: CreateTask) -> None:
        """Create a task and pay its whole reward pool; its first round opens at the end of this block."""
        state, sender, spec = ctx.state, ctx.sender, arguments.spec
        require_task_spec(spec)
        self._bank.collect(state, sender, POT, spec.reward_pool)
        task = NEXT_ID.get(state)
        NEXT_ID.set(state, TaskId(task + 1))
        SPECS.set(state, task, spec)
        progress = TaskProgress(sender, TaskStatus.OPEN, ctx.block.height, Round(0), 0, 0, spec.reward_pool)
        PROGRESS.set(state, task, progress)
        OPEN.set(state, task, 1)
        schedule(state, task, ctx.block.height)
        ctx.deposit(TaskCreated(task, sender, spec.reward_pool))

    def cancel(self, ctx: CallContext, arguments: CancelTask) -> None:
        """Take a task back before its first update; the pool returns."""
        state, task = ctx.state, arguments.task
        progress = PROGRESS.require(state, task)
        if progress.status is not TaskStatus.OPEN:
            raise TaskOver(task, progress.status)
        if progress.creator != ctx.sender:
            raise NotCreator(task, progress.creator, ctx.sender)
        if progress.updates:
            raise TaskStarted(task, progress.round, progress.updates)
        clock = CLOCKS.get(state, (task, progress.round))
        if clock is not None:
            ended = replace(clock, phase=Phase.VOID, void_reason=VoidReason.CANCELLED, ended=ctx.block.height)
            CLOCKS.set(state, (task, progress.round), ended)
        self._close(ctx, task, TaskStatus.CANCELLED)
        ctx.deposit(TaskCancelled(task, progress.pool_left))

    # For the pallets of the round

    def require_open(self, state: StateReader, task: TaskId) -> tuple[TaskSpec, Round]:
        """The task's spec and current round. Refuses an unknown task or one that is over."""
        progress = PROGRESS.require(state, task)
        if progress.status is not TaskStatus.OPEN:
            raise TaskOver(task, progress.status)
        return SPECS.require(state, task), progress.round

    def find_open(self, state: StateReader, task: TaskId) -> tuple[TaskSpec, Round] | None:
        """The same, or None."""
        progress = PROGRESS.get(state, task)
        if progress is None or progress.status is not TaskStatus.OPEN:
            return None
        return SPECS.require(state, task), progress.round

    def is_current(self, state: StateReader, task: TaskId, round: Round) -> bool:
        """Whether the task is open and `round` is its current round."""
        progress = PROGRESS.get(state, task)
        return progress is not None and progress.status is TaskStatus.OPEN and progress.round == round

    def get_updates_total(self, state: StateReader, task: TaskId) -> int:
        """How many updates came in, over all rounds."""
        return PROGRESS.require(state, task).updates

    def find_pool_left(self, state: StateReader, task: TaskId, round: Round) -> Balance | None:
        """What is left of the task's pool; None unless `round` is its current round."""
        return PROGRESS.require(state, task).pool_left if self.is_current(state, task, round) else None

    def count_update(self, state: State, task: TaskId) -> None:
        """An update came in."""
        progress = PROGRESS.require(state, task)
        PROGRESS.set(state, task, replace(progress, updates=progress.updates + 1))

    def pay(self, state: State, task: TaskId, account: AccountId, amount: Balance) -> None:
        """Pay from the task's pool, which holds that much."""
        progress = PROGRESS.require(state, task)
        invariant(amount <= progress.pool_left, "a pool pays what it holds", left=progress.pool_left, wanted=amount)
        self._bank.pay(state, POT, account, amount)
        PROGRESS.set(state, task, replace(progress, pool_left=Balance(progress.pool_left - amount)))

    def get_round_budget(self, state: StateReader, task: TaskId) -> Balance:
        """What the current round may pay: an equal part of what is left for it and all that follow."""
        progress, spec = PROGRESS.require(state, task), SPECS.require(state, task)
        return Balance(progress.pool_left // (spec.rounds - progress.round))

    def end_round(self, ctx: Context, task: TaskId, is_advanced: bool) -> Round | None:
        """Go on to the next round and return it; None when that was the last one, and the task is finished."""
        state, spec = ctx.state, SPECS.require(ctx.state, task)
        progress = PROGRESS.require(state, task)
        progress = replace(progress, rounds_advanced=progress.rounds_advanced + is_advanced)
        if progress.round + 1 < spec.rounds:
            following = Round(progress.round + 1)
            PROGRESS.set(state, task, replace(progress, round=following))
            return following
        PROGRESS.set(state, task, progress)
        self._close(ctx, task, TaskStatus.FINISHED)
        ctx.deposit(TaskFinished(task, progress.rounds_advanced, progress.pool_left))
        return None

    def _close(self, ctx: Context, task: TaskId, status: TaskStatus) -> None:
        progress = PROGRESS.require(ctx.state, task)
        self._bank.pay(ctx.state, POT, progress.creator, progress.pool_left)
        PROGRESS.set(ctx.state, task, replace(progress, status=status, pool_left=Balance(0)))
        OPEN.delete(ctx.state, task)

    # Views

    def get_constants(self) -> dict[str, int | str]:
        return {"rounds_max": TASK_ROUNDS_MAX}

    def try_state(self, state: StateReader) -> None:
        left = sum(progress.pool_left for _, progress in PROGRESS.items(state))
        invariant(left == self._bank.get_pot(state, POT), "the pot holds the pools", pools=left)
        tasks = [task for task, _ in PROGRESS.items(state)]
        is_counted = tasks == list(range(NEXT_ID.get(state))) == [task for task, _ in SPECS.items(state)]
        invariant(is_counted, "tasks are numbered without a hole, each with its spec", tasks=len(tasks))
        for task, progress in PROGRESS.items(state):
            self._try_progress(state, task, progress)
        is_open = {task for task, progress in PROGRESS.items(state) if progress.status is TaskStatus.OPEN}
        invariant(is_open == set(list_open_tasks(state)), "the open tasks are listed", tasks=len(is_open))

    def _try_progress(self, state: StateReader, task: TaskId, progress: TaskProgress) -> None:
        spec = SPECS.require(state, task)
        invariant(progress.round < spec.rounds, "a task has no more rounds than it fixed", task=task)
        invariant(progress.rounds_advanced <= progress.round + 1, "a round advances at most once", task=task)
        most = spec.reward_pool if progress.status is TaskStatus.OPEN else 0
        left = progress.pool_left
        invariant(left <= most, "a pool only shrinks, and is empty at the end", task=task, left=left, most=most)
        rounds = [round_ for (_, round_), _ in CLOCKS.items(state, (task,))]
        invariant(rounds == list(range(len(rounds))), "rounds follow one another", task=task, rounds=len(rounds))
        invariant(len(rounds) <= progress.round + 1, "no round lies ahead of its task", task=task, rounds=len(rounds))


def find_task(state: StateReader, task: TaskId) -> TaskRecord | None:
    """The whole of a task, or None."""
    progress = PROGRESS.get(state, task)
    if progress is None:
        return None
    return TaskRecord(
        task, progress.creator, progress.status, progress.created, progress.round, progress.rounds_advanced,
        progress.pool_left, SPECS.require(state, task),
    )  # fmt: skip


def list_tasks(state: StateReader) -> Iterator[TaskId]:
    """All tasks ever, ascending."""
    return (task for task, _ in PROGRESS.items(state))


def list_open_tasks(state: StateReader) -> Iterator[TaskId]:
    """The tasks that are under way, ascending."""
    return (task for task, _ in OPEN.items(state))
