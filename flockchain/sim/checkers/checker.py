"""What a checker is. Checkers share no code with what they check: they see effects, blocks and disks only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flockchain.replica.effects import CommitBlocks, ReplicaEffect
from flockchain.runtime.ledger import ExecutedBlock

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


class Checker:
    """Sees every effect of every node as it is performed, every commit, every block once, and the world at its end.

    A checker overrides what it needs; by itself this one finds nothing.
    """

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        """`node` is about to perform `effect`."""
        return ()

    def on_heard(self, node: SimNode, payload: bytes) -> None:
        """A message has arrived at `node`, which is about to handle it."""

    def on_committed(self, node: SimNode, effect: CommitBlocks) -> Iterable[Violation]:
        """`node` has final blocks on its disk."""
        return ()

    def on_block(self, node: SimNode, executed: ExecutedBlock, state: Mapping[bytes, bytes]) -> Iterable[Violation]:
        """An honest node is the first to commit a block of this height; `state` is the whole post-state."""
        return ()

    def on_boot(self, node: SimNode) -> Iterable[Violation]:
        """`node` starts a life."""
        return ()

    def on_wiped(self, node: SimNode) -> Iterable[Violation]:
        """`node` is down and has lost its disk: it begins again, and signs nothing any more."""
        return ()

    def on_end(self, nodes: Sequence[SimNode]) -> Iterable[Violation]:
        """The world is over. The healed core is up; some of the others may be down."""
        return ()
