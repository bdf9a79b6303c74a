"""An honest validator signs one NOTARIZE and one FINALIZE a view at most, and never NULLIFY beside FINALIZE.

Judged by what leaves the machine, over the whole life of the node, restarts included. A proposal carries its leader's
NOTARIZE. What a node merely passes on is told apart by the signature.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flockchain.crypto.hashing import compute_block_hash
from flockchain.crypto.signing import compute_vote_bytes
from flockchain.gossip import messages as wire
from flockchain.primitives.numbers import Hash, NodeId
from flockchain.primitives.vote import VoteKind
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.sim.checkers.checker import Checker, Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["OneVote"]

_Word = tuple[VoteKind, int, int, Hash, bytes]  # kind, epoch, view, block, signature
_KINDS = (wire.MessageKind.PROPOSAL, wire.MessageKind.VOTE)


class OneVote(Checker):
    """Keeps every vote that every honest node ever sent in its own name."""

    def __init__(self) -> None:
        self._said: dict[tuple[NodeId, int, int, VoteKind], Hash] = {}
        self._seen: set[tuple[NodeId, bytes]] = set()

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        if node.adversary is not None or not isinstance(effect, SendMessage) or effect.payload[0] not in _KINDS:
            return ()
        word = _read(effect.payload)
        if (node.node_id, word[-1]) in self._seen:
            return ()
        self._seen.add((node.node_id, word[-1]))
        return self._judge(node.node_id, word) if _is_own(node, word) else ()

    def _judge(self, node: NodeId, word: _Word) -> list[Violation]:
        kind, epoch, view, block, _ = word
        found: list[Violation] = []
        if self._said.setdefault((node, epoch, view, kind), block) != block:
            found.append(Violation("one vote", f"{node[:4].hex()} signed two {kind.name} in {epoch}/{view}"))
        other = {VoteKind.NULLIFY: VoteKind.FINALIZE, VoteKind.FINALIZE: VoteKind.NULLIFY}.get(kind)
        if other is not None and (node, epoch, view, other) in self._said:
            found.append(Violation("one vote", f"{node[:4].hex()} signed NULLIFY and FINALIZE in {epoch}/{view}"))
        return found


def _read(payload: bytes) -> _Word:
    message = wire.decode_message(payload)
    if isinstance(message, wire.VoteMessage):
        vote = message.vote
        return vote.kind, vote.epoch, vote.view, vote.block_hash, vote.signature
    proposal = message.proposal  # type: ignore[union-attr]
    header = proposal.block.header
    return VoteKind.NOTARIZE, header.epoch, proposal.view, compute_block_hash(header), proposal.signature


def _is_own(node: SimNode, word: _Word) -> bool:
    kind, epoch, view, block, signature = word
    message = compute_vote_bytes(node.genesis_hash, kind, epoch, view, block)  # type: ignore[arg-type]
    return node.world.bls.verify(node.consensus_key, message, signature)
