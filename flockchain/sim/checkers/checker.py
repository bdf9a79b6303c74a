"""What a checker is. Checkers share no code with what they check: they see effects and disks only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from flockchain.replica.effects import CommitBlocks, ReplicaEffect

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Checker", "Violation"]


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise: which one, and what was seen."""

    promise: str
    seen: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.seen}"


class Checker(Protocol):
    """Sees every effect of every node as it is performed, every commit, and the world at its end."""

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]: ...

    def on_committed(self, node: SimNode, effect: CommitBlocks) -> Iterable[Violation]: ...

    def on_end(self, nodes: Sequence[SimNode]) -> Iterable[Violation]: ...
