"""A leader that proposes one valid block to some of its peers and another valid block to the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flockchain.crypto.hashing import compute_block_hash
from flockchain.gossip import messages as wire
from flockchain.primitives.errors import FlockchainError
from flockchain.primitives.numbers import TimestampMs
from flockchain.primitives.vote import Proposal, VoteKind
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.runtime.executive import BlockDraft
from flockchain.sim.adversaries.adversary import forge_vote

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["EquivocatingLeader"]


class EquivocatingLeader:
    """Splits its peers in two halves and shows each a block of its own, or shows everybody both."""

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        done: list[ReplicaEffect] = []
        for effect in effects:
            twin = self._build_twin(node, effect) if isinstance(effect, SendMessage) else None
            if twin is None or not isinstance(effect, SendMessage):
                done.append(effect)
                continue
            half = len(effect.peers) // 2 if node.world.rng.randrange(2) else 0
            done.append(SendMessage(effect.peers[half:], wire.encode_message(wire.ProposalMessage(twin))))
            done.append(SendMessage(effect.peers[:half] or effect.peers, effect.payload))
        return done

    def _build_twin(self, node: SimNode, effect: SendMessage) -> Proposal | None:
        """Another valid block for the same view, if this is a first proposal of ours."""
        message = wire.decode_message(effect.payload)
        replica = node.replica
        if not isinstance(message, wire.ProposalMessage) or replica is None:
            return None
        proposal = message.proposal
        header = proposal.block.header
        parent = replica.ledger.get(header.parent)
        if parent is None or header.view != proposal.view or header.proposer != node.account:
            return None
        draft = BlockDraft(
            parent=parent.header, parent_hash=parent.block_hash, view=header.view, epoch=header.epoch,
            proposer=header.proposer, timestamp_ms=TimestampMs(header.timestamp_ms + 1), reveal=proposal.block.reveal,
            evidence=(), learning=(),
        )  # fmt: skip
        try:
            block = replica.ledger.build(draft, ())
        except FlockchainError:
            return None
        signer = replica.core.leader
        vote = forge_vote(node, VoteKind.NOTARIZE, header.epoch, header.view, compute_block_hash(block.header), signer)
        node.world.mark("equivocation")
        return replace(proposal, block=block, signature=vote.signature)
