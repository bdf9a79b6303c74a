"""The effects of one event, in order, and the ways to address peers."""

from __future__ import annotations

from flockchain.crypto.hashing import sha256
from flockchain.gossip.messages import PeerMessage, encode_message
from flockchain.gossip.relay import Relay
from flockchain.primitives.limits import PASSED_ON_MAX
from flockchain.primitives.numbers import NodeId
from flockchain.replica.effects import Penalise, ReplicaEffect, SendMessage, SetTimer

__all__ = ["Outbox"]


class Outbox:
    """Collects effects until the host takes them. `salt` is this node's own: by it nodes choose different peers."""

    def __init__(self, relay: Relay, salt: bytes) -> None:
        self._relay = relay
        self._salt = salt
        self._effects: list[ReplicaEffect] = []
        self._asked = 0
        self.now_ms = 0

    def take(self) -> list[ReplicaEffect]:
        """Everything since the last `take`."""
        effects, self._effects = self._effects, []
        return effects

    def add(self, *effects: ReplicaEffect) -> None:
        self._effects.extend(effects)

    def send(self, peer: NodeId, message: PeerMessage) -> None:
        """One message to one peer."""
        self.add(SendMessage((peer,), encode_message(message)))

    def broadcast(self, message: PeerMessage) -> None:
        """One message of ours to all peers."""
        payload = encode_message(message)
        self._relay.on_sent(sha256(payload), self.now_ms)
        self.forward(self._relay.peers, payload)

    def pass_on(self, message: PeerMessage, *, is_to_all: bool) -> None:
        """What every node that hears of it passes on too: to all peers when they are few, else to some of them.

        Of a hundred nodes that each choose sixteen, all choose to leave one out once in ten million times; and whoever
        was left out asks. Nodes choose differently, and for each message anew.
        """
        peers, payload = self._relay.peers, encode_message(message)
        if not is_to_all and len(peers) > PASSED_ON_MAX:
            start = int.from_bytes(sha256(self._salt + payload)[:8], "big") % len(peers)
            peers = tuple(sorted((*peers, *peers)[start : start + PASSED_ON_MAX]))
        self.forward(peers, payload)

    def forward(self, peers: tuple[NodeId, ...], payload: bytes) -> None:
        """An encoded message to some peers."""
        if peers:
            self.add(SendMessage(peers, payload))

    def ask_someone(self, message: PeerMessage) -> None:
        """One message to one peer, another one each time."""
        peers = self._relay.peers
        if peers:
            self._asked += 1
            self.send(peers[self._asked % len(peers)], message)

    def penalise(self, peer: NodeId, reason: str) -> None:
        """A peer sent what no honest node sends."""
        self.add(Penalise(peer, reason))

    def set_timer(self, timer: object, after_ms: int) -> None:
        self.add(SetTimer(timer, after_ms))
