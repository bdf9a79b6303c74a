"""A validator that says what it once said again and again: votes, blocks and certificates of old views and epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flockchain.gossip import messages as wire
from flockchain.replica.effects import ReplicaEffect, SendMessage, ViewEntered

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["StaleVoter"]

_KINDS: Final = (
    wire.MessageKind.PROPOSAL, wire.MessageKind.VOTE, wire.MessageKind.CERTIFICATE, wire.MessageKind.LEARNING,
    wire.MessageKind.AGGREGATE_VOTE, wire.MessageKind.STATUS, wire.MessageKind.EVIDENCE,
)  # fmt: skip
_KEPT_MAX: Final = 400
_REPEATED: Final = 12


class StaleVoter:
    """Whenever it enters a view, it repeats some of all that it ever sent, to everybody."""

    def __init__(self) -> None:
        self._said: list[bytes] = []

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        for effect in effects:
            if isinstance(effect, SendMessage) and effect.payload[0] in _KINDS and len(self._said) < _KEPT_MAX:
                self._said.append(effect.payload)
        peers = node.replica.relay.peers if node.replica is not None else ()
        if not peers or not self._said or not any(isinstance(effect, ViewEntered) for effect in effects):
            return effects
        node.world.mark("stale words")
        again = [node.world.rng.choice(self._said) for _ in range(_REPEATED)]
        return [*effects, *(SendMessage(peers, payload) for payload in again)]
