"""A validator that leads and votes for some of its peers only, and is silent to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flockchain.replica.effects import ReplicaEffect, SendMessage

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Withholder"]


class Withholder:
    """Each message goes to a freshly drawn half of its addressees."""

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        rng = node.world.rng
        done: list[ReplicaEffect] = []
        for effect in effects:
            if isinstance(effect, SendMessage):
                peers = tuple(peer for peer in effect.peers if rng.randrange(2))
                done.append(SendMessage(peers, effect.payload))
            else:
                done.append(effect)
        return done
