"""An honest validator signs one NOTARIZE and one FINALIZE a view at most, and never NULLIFY beside FINALIZE.

Judged by what leaves the machine, over the whole life of the node, restarts included. A proposal carries its leader's
NOTARIZE. What a node merely passes on is told apart by the signature.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flockchain.gossip import messages as wire
from flockchain.primitives.numbers import Hash, NodeId
from flockchain.primitives.vote import Vote, VoteKind
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.sim.checkers.checker import Checker, Violation
from flockchain.sim.checkers.signed_bytes import is_signed, read_vote

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["OneVote"]

_KINDS = (wire.MessageKind.PROPOSAL, wire.MessageKind.VOTE)


class OneVote(Checker):
    """Keeps every vote that every honest node ever sent in its own name."""

    def __init__(self) -> None:
        self._said: dict[tuple[NodeId, int, int, VoteKind], Hash] = {}
        self._seen: set[tuple[NodeId, bytes]] = set()

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        if node.adversary is not None or not isinstance(effect, SendMessage) or effect.payload[0] not in _KINDS:
            return ()
        vote = read_vote(effect.payload)
        if (node.node_id, vote.signature) in self._seen:
            return ()
        self._seen.add((node.node_id, vote.signature))
        return self._judge(node.node_id, vote) if is_signed(node, vote, node.consensus_key) else ()

    def _judge(self, node: NodeId, vote: Vote) -> list[Violation]:
        kind, epoch, view = vote.kind, vote.epoch, vote.view
        found: list[Violation] = []
        if self._said.setdefault((node, epoch, view, kind), vote.block_hash) != vote.block_hash:
            found.append(Violation("one vote", f"{node[:4].hex()} signed two {kind.name} in {epoch}/{view}"))
        other = {VoteKind.NULLIFY: VoteKind.FINALIZE, VoteKind.FINALIZE: VoteKind.NULLIFY}.get(kind)
        if other is not None and (node, epoch, view, other) in self._said:
            found.append(Violation("one vote", f"{node[:4].hex()} signed NULLIFY and FINALIZE in {epoch}/{view}"))
        return found
