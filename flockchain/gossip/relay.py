"""Whom to pass a message on to, and which messages were seen already.

A node sends its own messages to all its neighbours. A message that it hears for the first time it passes
on to those neighbours that the sender does not reach itself, as far as the sender's list of neighbours
says. In a full mesh nothing is sent twice; on a line everything arrives. Marks expire, so that a message
which its author repeats (a vote whose view does not end) travels again.

Knows peers by node id and messages by digest. Does not know what messages mean, and sends nothing itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from flockchain.gossip.messages import MessageKind
from flockchain.primitives.errors import invariant
from flockchain.primitives.numbers import Hash, NodeId

__all__ = ["RELAYED_KINDS", "Relay", "RelayConfig"]

# Certificates and evidence are not among them: whoever gets one verifies it, and sends it to all neighbours itself.
RELAYED_KINDS: Final = frozenset(
    {
        MessageKind.PROPOSAL,
        MessageKind.VOTE,
        MessageKind.EXTRINSICS,
        MessageKind.LEARNING,
        MessageKind.AGGREGATE_VOTE,
    }
)


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """How much is remembered, and for how long a message counts as seen."""

    seen_max: int = 65_536
    seen_ms: int = 2_000

    def __post_init__(self) -> None:
        invariant(self.seen_max > 0 and self.seen_ms > 0, "a relay must be able to remember", config=self)


class Relay:
    """The seen marks and the neighbourhood. Bounded: the oldest mark makes room for the newest."""

    def __init__(self, config: RelayConfig | None = None) -> None:
        self._config = config or RelayConfig()
        self._seen: OrderedDict[Hash, int] = OrderedDict()  # digest -> when it was marked, oldest first
        self._reach: dict[NodeId, frozenset[NodeId]] = {}  # connected peer -> whom it reaches itself
        self._peers: tuple[NodeId, ...] = ()
        self._beyond: dict[NodeId, tuple[NodeId, ...]] = {}  # sender -> whom it does not reach; made when first needed

    @property
    def peers(self) -> tuple[NodeId, ...]:
        """The connected peers, in ascending order."""
        return self._peers

    def on_peer_connected(self, peer: NodeId) -> None:
        """`peer` can be sent to; nothing is known of its neighbours yet."""
        self._reach.setdefault(peer, frozenset())
        self._forget_order()

    def on_peer_gone(self, peer: NodeId) -> None:
        """`peer` cannot be sent to any more."""
        self._reach.pop(peer, None)
        self._forget_order()

    def on_neighbours(self, peer: NodeId, neighbours: Iterable[NodeId]) -> None:
        """`peer` says whom it is connected to. Ignored for one that is not connected to us."""
        if peer in self._reach:
            self._reach[peer] = frozenset(neighbours)
            self._beyond.pop(peer, None)

    def on_sent(self, digest: Hash, now_ms: int) -> None:
        """We sent this to everyone: an echo of it is not news."""
        self._mark(digest, now_ms)

    def on_received(self, sender: NodeId, digest: Hash, now_ms: int) -> tuple[NodeId, ...] | None:
        """The peers to pass the message on to, in ascending order; None when it was seen already."""
        if self.has_seen(digest, now_ms):
            return None
        self._mark(digest, now_ms)
        beyond = self._beyond.get(sender)
        if beyond is None:
            reached = self._reach.get(sender, frozenset())
            beyond = tuple(peer for peer in self._peers if peer != sender and peer not in reached)
            if sender in self._reach:
                self._beyond[sender] = beyond
        return beyond

    def has_seen(self, digest: Hash, now_ms: int) -> bool:
        """Whether a mark of this message is still fresh."""
        marked_ms = self._seen.get(digest)
        return marked_ms is not None and now_ms - marked_ms < self._config.seen_ms

    def _forget_order(self) -> None:
        """The peers have changed."""
        self._peers = tuple(sorted(self._reach))
        self._beyond.clear()

    def _mark(self, digest: Hash, now_ms: int) -> None:
        self._seen[digest] = now_ms
        self._seen.move_to_end(digest)
        if len(self._seen) > self._config.seen_max:
            self._seen.popitem(last=False)
