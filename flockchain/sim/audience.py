"""Everybody who watches a world: its checkers, the violations that they found, and the marks of what happened.

Knows who looks at what. Does not know what is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from flockchain.replica.effects import CommitBlocks, ReplicaEffect
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers import CHECKERS, Checker, Violation
from flockchain.sim.landmarks import Landmarks
from flockchain.sim.trace import Tracer

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Audience"]


class Audience:
    """Shows every event of a world to every checker, and keeps each violation once."""

    def __init__(self) -> None:
        self.checkers: list[Checker] = [*(build() for build in CHECKERS), Landmarks()]
        self.violations: list[Violation] = []
        self.marks: dict[str, int] = {}
        self.tracer: Tracer | None = None
        self._watchers: Sequence[Checker] = ()  # the checkers that look at effects: there are many of those
        self._listeners: Sequence[Checker] = ()  # and those that look at what arrives
        self._watched = 0

    def show_effect(self, node: SimNode, effect: ReplicaEffect) -> None:
        self._seat()
        for checker in self._watchers:
            if found := checker.on_effect(node, effect):
                self.blame(found)

    def show_message(self, node: SimNode, payload: bytes) -> None:
        self._seat()
        for checker in self._listeners:
            checker.on_heard(node, payload)

    def show_boot(self, node: SimNode) -> None:
        for checker in self.checkers:
            self.blame(checker.on_boot(node))

    def show_loss(self, node: SimNode) -> None:
        """What the node had on its disk is gone, or older than it was."""
        for checker in self.checkers:
            self.blame(checker.on_wiped(node))

    def show_block(self, node: SimNode, executed: ExecutedBlock, state: Mapping[bytes, bytes]) -> None:
        for checker in self.checkers:
            self.blame(checker.on_block(node, executed, state))

    def show_commit(self, node: SimNode, effect: CommitBlocks) -> None:
        for checker in self.checkers:
            self.blame(checker.on_committed(node, effect))

    def show_end(self, nodes: Sequence[SimNode]) -> None:
        for checker in self.checkers:
            self.blame(checker.on_end(nodes))

    def blame(self, violations: Iterable[Violation]) -> None:
        self.violations.extend(violation for violation in violations if violation not in self.violations)

    def mark(self, name: str) -> None:
        """Count that something happened at least once."""
        self.marks[name] = self.marks.get(name, 0) + 1
        if self.tracer is not None:
            self.tracer.note(name)

    def _seat(self) -> None:
        """Find who looks at what, again when checkers were added."""
        if self._watched == len(self.checkers):
            return
        self._watched = len(self.checkers)
        self._watchers = [each for each in self.checkers if type(each).on_effect is not Checker.on_effect]
        self._listeners = [each for each in self.checkers if type(each).on_heard is not Checker.on_heard]
