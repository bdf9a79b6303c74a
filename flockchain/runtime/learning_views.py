"""What the state says of learning: tasks, rounds, lineages, reputations. Reads only, for any reader of state."""

from __future__ import annotations

from flockchain.primitives.learning import Phase
from flockchain.primitives.numbers import ZERO_HASH, AccountId, Height, MicroNats, Round, TaskId
from flockchain.primitives.rounds import (
    CommitRecord,
    CommitteeMember,
    LineageEntry,
    RevealRecord,
    RoundRecord,
    TaskRecord,
)
from flockchain.runtime.frame import StateReader
from flockchain.runtime.pallets import models, tasks, updates, validation
from flockchain.runtime.rounds import CLOCKS, RoundClock, get_due

__all__ = [
    "find_clock", "find_member", "find_round", "find_task", "get_lineage", "get_open_tasks", "get_prompt_rows",
    "get_reputation", "get_seats", "is_round_due", "is_round_over", "list_tasks",
]  # fmt: skip


def find_task(state: StateReader, task: TaskId) -> TaskRecord | None:
    """A task and how far it is, or None."""
    return tasks.find_task(state, task)


def list_tasks(state: StateReader) -> tuple[TaskRecord, ...]:
    """All tasks ever, ascending."""
    found = (tasks.find_task(state, task) for task in tuple(tasks.list_tasks(state)))
    return tuple(record for record in found if record is not None)


def get_open_tasks(state: StateReader) -> tuple[TaskId, ...]:
    """The tasks that are under way, ascending."""
    return tuple(tasks.list_open_tasks(state))


def find_clock(state: StateReader, task: TaskId, round: Round) -> RoundClock | None:
    """Phase and deadlines of a round: cheap, for whoever only has to know whether an item is in place."""
    return CLOCKS.get(state, (task, round))


def find_round(state: StateReader, task: TaskId, round: Round) -> RoundRecord | None:
    """The whole of a round, or None before it opened."""
    key = (task, round)
    clock = CLOCKS.get(state, key)
    spec = tasks.SPECS.get(state, task)
    if clock is None or spec is None:
        return None
    draw = validation.DRAWS.get(state, key)
    results = validation.RESULTS.get(state, key)
    return RoundRecord(
        task=task, round=round, phase=clock.phase, void_reason=clock.void_reason, opened=clock.opened,
        phase_opened=clock.phase_opened, deadline=clock.deadline, closed=clock.closed, ended=clock.ended,
        updates=updates.get_updates(state, task, round),
        seed=draw.seed if draw is not None else ZERO_HASH,
        committee=draw.committee if draw is not None else (),
        audit_positions=validation.get_audit_positions(state, key, spec),
        commits=_get_commits(state, task, round), reveals=_get_reveals(state, task, round),
        verdicts=results.verdicts if results is not None else (),
        results_root=results.results_root if results is not None else ZERO_HASH,
        certified=models.find_certified(state, key),
    )  # fmt: skip


def get_prompt_rows(state: StateReader, task: TaskId, round: Round) -> tuple[int, ...]:
    """The rows of the suite drawn for a round, in the order of the draw; empty before the draw."""
    spec = tasks.SPECS.get(state, task)
    return validation.get_prompt_rows(state, (task, round), spec) if spec is not None else ()


def get_lineage(state: StateReader, task: TaskId) -> tuple[LineageEntry, ...]:
    """A task's certified aggregates, oldest first."""
    return models.get_lineage(state, task)


def get_reputation(state: StateReader, task: TaskId, trainer: AccountId) -> MicroNats:
    """A trainer's accumulated score in a task; 0 for a newcomer."""
    return validation.REPUTATIONS.get_or(state, (task, trainer), MicroNats(0))


def get_seats(state: StateReader, account: AccountId) -> tuple[tuple[TaskId, Round], ...]:
    """The rounds under way in whose committee an account sits."""
    return tuple((task, round_) for (_, task), round_ in validation.SEATS.items(state, (account,)))


def find_member(state: StateReader, task: TaskId, round: Round, account: AccountId) -> CommitteeMember | None:
    """A member of a round's committee with its stake and keys of then, or None: nobody is one before the draw."""
    draw = validation.DRAWS.get(state, (task, round))
    return next((member for member in draw.committee if member.account == account), None) if draw is not None else None


def is_round_over(state: StateReader, task: TaskId, round: Round) -> bool:
    """Whether a round has ended, with or without moving the model."""
    clock = CLOCKS.get(state, (task, round))
    return clock is not None and clock.phase in (Phase.ADVANCED, Phase.VOID)


def is_round_due(state: StateReader, next_height: Height) -> bool:
    """Whether a round waits for the next block (a draw, or a deadline): no reason to idle."""
    return bool(get_due(state, next_height))


def _get_commits(state: StateReader, task: TaskId, round: Round) -> tuple[CommitRecord, ...]:
    return tuple(record for _, record in validation.COMMITS.items(state, (task, round)))


def _get_reveals(state: StateReader, task: TaskId, round: Round) -> tuple[RevealRecord, ...]:
    return tuple(record for _, record in validation.REVEALS.items(state, (task, round)))
