"""Honest nodes never penalise one another, whatever Byzantine ones have them pass on: five penalties are a ban.

Two nodes of one key are not honest towards each other, and a network may damage what it carries for the Byzantine one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flockchain.replica.effects import Penalise, ReplicaEffect
from flockchain.sim.checkers.checker import Checker, Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Blame"]


class Blame(Checker):
    """Looks at every penalty."""

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        if not isinstance(effect, Penalise) or node.adversary is not None:
            return
        for other in node.world.nodes:
            if other.node_id == effect.peer and other.adversary is None:
                names = f"{node.node_id[:4].hex()} penalises {other.node_id[:4].hex()}"
                yield Violation("blame", f"{names}: {effect.reason}")
