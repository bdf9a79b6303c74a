"""A validator that shows each kind of thing to other peers: its block to two, its votes to one, certificates to one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from flockchain.gossip import messages as wire
from flockchain.replica.effects import ReplicaEffect, SendMessage

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["SelectiveSender"]

_HEARERS: Final[Mapping[int, int]] = {  # how many of its peers hear what
    wire.MessageKind.PROPOSAL: 2,
    wire.MessageKind.VOTE: 1,
    wire.MessageKind.CERTIFICATE: 1,
    wire.MessageKind.LEARNING: 1,
    wire.MessageKind.AGGREGATE_VOTE: 1,
    wire.MessageKind.EVIDENCE: 0,
}


class SelectiveSender:
    """Chooses anew in every view, so that nobody gets the whole of any."""

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        return [self._choose(node, effect) for effect in effects]

    def _choose(self, node: SimNode, effect: ReplicaEffect) -> ReplicaEffect:
        hearers = _HEARERS.get(effect.payload[0]) if isinstance(effect, SendMessage) else None
        if hearers is None or not isinstance(effect, SendMessage) or len(effect.peers) <= hearers:
            return effect
        node.world.mark("selective")
        first = (node.replica.view if node.replica is not None else 0) + effect.payload[0]
        peers = tuple(effect.peers[(first + at) % len(effect.peers)] for at in range(hearers))
        return SendMessage(peers, effect.payload)
