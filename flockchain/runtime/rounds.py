"""The clock of a task's rounds, and which tasks are due at which height.

Shared by the pallets that take part in a round. Idle tasks cost a block nothing: a task is looked at only at the
heights for which it was scheduled, and an entry that is out of date does no harm. Does not know what a phase is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flockchain.primitives.codec import U8, U32, U64, EnumOf, struct
from flockchain.primitives.errors import invariant
from flockchain.primitives.learning import Phase
from flockchain.primitives.numbers import Height, Round, TaskId
from flockchain.primitives.rounds import VoidReason
from flockchain.runtime.frame import State, StateReader, StorageMap, TupleOf

__all__ = ["CLOCKS", "ROUND_KEY", "RoundClock", "RoundKey", "get_due", "get_scheduled", "schedule", "take_due",
           "try_clock"]  # fmt: skip

RoundKey = tuple[TaskId, Round]
ROUND_KEY: Final = TupleOf(U32, U32)


@dataclass(frozen=True, slots=True)
class RoundClock:
    """Where a round is; the fields are those of `RoundRecord`."""

    phase: Phase
    void_reason: VoidReason
    opened: Height
    phase_opened: Height
    deadline: Height
    closed: Height
    ended: Height

    @property
    def is_over(self) -> bool:
        """Whether the round has ended, with or without moving the model."""
        return self.phase in (Phase.ADVANCED, Phase.VOID)

    def is_taking(self, phase: Phase, height: Height) -> bool:
        """Whether items of `phase` are taken in the block of `height`."""
        return self.phase is phase and not self.closed and height <= self.deadline


CLOCKS: Final = StorageMap[RoundKey, RoundClock](
    "validation", "clock", ROUND_KEY,
    struct(
        RoundClock, phase=EnumOf(Phase), void_reason=EnumOf(VoidReason), opened=U64, phase_opened=U64, deadline=U64,
        closed=U64, ended=U64,
    ),
)  # fmt: skip
_DUE: Final = StorageMap[tuple[Height, TaskId], int]("validation", "due", TupleOf(U64, U32), U8)


def schedule(state: State, task: TaskId, height: Height) -> None:
    """Have the task looked at when the block of `height` ends."""
    _DUE.set(state, (height, task), 1)


def take_due(state: State, height: Height) -> list[TaskId]:
    """The tasks scheduled for `height`, ascending; their entries are gone."""
    due = [key for key, _ in _DUE.items(state, (height,))]
    for key in due:
        _DUE.delete(state, key)
    return [task for _, task in due]


def get_due(state: StateReader, height: Height) -> tuple[TaskId, ...]:
    """The tasks scheduled for `height`."""
    return tuple(task for (_, task), _ in _DUE.items(state, (height,)))


def get_scheduled(state: StateReader) -> frozenset[TaskId]:
    """The tasks scheduled for any height."""
    return frozenset(task for (_, task), _ in _DUE.items(state))


def try_clock(key: RoundKey, clock: RoundClock) -> None:
    """Raise `InvariantBroken` if a clock contradicts itself."""
    task, round_ = key
    is_ordered = clock.opened <= clock.phase_opened <= clock.deadline
    invariant(is_ordered, "a phase begins before it ends", task=task, round=round_)
    invariant(clock.is_over == bool(clock.ended), "a round that is over has ended", task=task, round=round_)
    is_void = clock.void_reason is not VoidReason.NONE
    invariant(is_void == (clock.phase is Phase.VOID), "a void round has its reason", task=task, round=round_)
