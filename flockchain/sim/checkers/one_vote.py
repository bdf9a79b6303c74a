"""An honest validator signs one NOTARIZE and one FINALIZE a view at most, and never NULLIFY beside FINALIZE.

Judged by what leaves the machine, over the whole life of the node, restarts included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from flockchain.gossip import messages as wire
from flockchain.primitives.numbers import Hash, NodeId
from flockchain.primitives.vote import VoteKind
from flockchain.replica.effects import CommitBlocks, ReplicaEffect, SendMessage
from flockchain.sim.checkers.checker import Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["OneVote"]


class OneVote:
    """Keeps every vote that every honest node ever sent in its own name."""

    def __init__(self) -> None:
        self._said: dict[tuple[NodeId, int, int, VoteKind], Hash] = {}

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        if node.adversary is not None or not isinstance(effect, SendMessage) or effect.payload[0] != 1:
            return ()
        message = wire.decode_message(effect.payload)
        if not isinstance(message, wire.VoteMessage) or message.vote.signer != node.get_seat():
            return ()  # relayed
        vote = message.vote
        return self._judge(node.node_id, vote.epoch, vote.view, vote.kind, vote.block_hash)

    def _judge(self, node: NodeId, epoch: int, view: int, kind: VoteKind, block: Hash) -> list[Violation]:
        found: list[Violation] = []
        if self._said.setdefault((node, epoch, view, kind), block) != block:
            found.append(Violation("one vote", f"{node[:4].hex()} signed two {kind.name} in {epoch}/{view}"))
        other = {VoteKind.NULLIFY: VoteKind.FINALIZE, VoteKind.FINALIZE: VoteKind.NULLIFY}.get(kind)
        if other is not None and (node, epoch, view, other) in self._said:
            found.append(Violation("one vote", f"{node[:4].hex()} signed NULLIFY and FINALIZE in {epoch}/{view}"))
        return found

    def on_committed(self, node: SimNode, effect: CommitBlocks) -> Iterable[Violation]:
        return ()

    def on_end(self, nodes: Sequence[SimNode]) -> Iterable[Violation]:
        return ()
