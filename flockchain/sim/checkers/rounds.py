"""A round ends by its deadlines (V5), and then every bond is back, once, less what was burned.

Read from the clocks in the state and from the events of updates and bonds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from flockchain.primitives.codec import HASH, U8, U16, U32, U64, U128, Reader
from flockchain.primitives.learning import UPDATE_RECORD
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers.block_events import (
    BOND_RETURNED,
    MODEL_ADVANCED,
    ROUND_VOIDED,
    UPDATE_SUBMITTED,
    iterate_events,
)
from flockchain.sim.checkers.checker import Checker, Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Rounds"]

_CLOCK: Final = b"validation/clock/"
_IS_OVER: Final = 4  # phases from here on are ends
_Bond = tuple[int, int, bytes]  # task, round, trainer


class Rounds(Checker):
    """Holds the bonds of rounds under way."""

    def __init__(self) -> None:
        self._bonds: dict[_Bond, int] = {}

    def on_block(self, node: SimNode, executed: ExecutedBlock, state: Mapping[bytes, bytes]) -> Iterable[Violation]:
        kinds = (UPDATE_SUBMITTED, BOND_RETURNED, MODEL_ADVANCED, ROUND_VOIDED)
        for kind, reader in iterate_events(executed, *kinds):
            if kind == UPDATE_SUBMITTED:
                self._take(state, reader)
            elif kind == BOND_RETURNED:
                yield from self._give_back(reader)
            else:
                node.world.mark("round advanced" if kind == MODEL_ADVANCED else "round void")
        clocks = {key: Reader(value) for key, value in state.items() if key.startswith(_CLOCK)}
        for key, clock in clocks.items():
            yield from self._judge(key[len(_CLOCK) :], clock, executed.header.height)

    def _take(self, state: Mapping[bytes, bytes], reader: Reader) -> None:
        task, round_, index, trainer = U32.read(reader), U32.read(reader), U16.read(reader), HASH.read(reader)
        key = b"updates/record/" + U32.encode(task) + U32.encode(round_) + U16.encode(index)
        self._bonds[task, round_, trainer] = UPDATE_RECORD.decode(state[key]).bond

    def _give_back(self, reader: Reader) -> Iterable[Violation]:
        task, round_, trainer = U32.read(reader), U32.read(reader), HASH.read(reader)
        returned, burned = U128.read(reader), U128.read(reader)
        bond = self._bonds.pop((task, round_, trainer), None)
        if bond != returned + burned:
            yield Violation("bonds", f"{returned} and {burned} of {bond} in task {task} round {round_}")

    def _judge(self, key: bytes, clock: Reader, height: int) -> Iterable[Violation]:
        task, round_ = U32.decode(key[:4]), U32.decode(key[4:])
        phase, _, _, _ = U8.read(clock), U8.read(clock), U64.read(clock), U64.read(clock)
        deadline, closed = U64.read(clock), U64.read(clock)
        where = f"phase {phase} of task {task} round {round_} at height {height}"
        if phase < _IS_OVER:
            if (height > closed) if closed else (height >= deadline):
                yield Violation("deadline", f"{where} should be over by {closed + 1 if closed else deadline}")
        elif any(bond[:2] == (task, round_) for bond in self._bonds):
            yield Violation("bonds", f"a bond was not returned, {where}")
