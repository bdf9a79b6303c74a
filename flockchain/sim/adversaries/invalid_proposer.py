"""A leader that signs properly for blocks that do not execute to what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flockchain.crypto.hashing import compute_block_hash, sha256
from flockchain.gossip import messages as wire
from flockchain.primitives.vote import VoteKind
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.sim.adversaries.adversary import forge_vote

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["InvalidProposer"]


class InvalidProposer:
    """Names another post-state in every block that it proposes first."""

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        return [self._spoil(node, effect) if isinstance(effect, SendMessage) else effect for effect in effects]

    def _spoil(self, node: SimNode, effect: SendMessage) -> SendMessage:
        message = wire.decode_message(effect.payload)
        if not isinstance(message, wire.ProposalMessage) or node.replica is None:
            return effect
        proposal = message.proposal
        header = proposal.block.header
        if header.view != proposal.view or header.proposer != node.account:
            return effect
        spoiled = replace(header, state_root=sha256(header.state_root))
        signer = node.replica.core.leader
        vote = forge_vote(node, VoteKind.NOTARIZE, header.epoch, header.view, compute_block_hash(spoiled), signer)
        forged = replace(proposal, block=replace(proposal.block, header=spoiled), signature=vote.signature)
        node.world.mark("invalid proposal")
        return SendMessage(effect.peers, wire.encode_message(wire.ProposalMessage(forged)))
