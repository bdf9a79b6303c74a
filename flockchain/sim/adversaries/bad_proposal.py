"""How an adversary swaps its own proposal for another block, properly signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from flockchain.crypto.hashing import compute_block_hash, compute_learning_root
from flockchain.gossip import messages as wire
from flockchain.primitives.block import Block
from flockchain.primitives.errors import FlockchainError
from flockchain.primitives.learning import LearningItem
from flockchain.primitives.vote import VoteKind
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.runtime.executive import BlockDraft
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.adversaries.adversary import forge_vote
from flockchain.storage.overlay import StateReader

if TYPE_CHECKING:
    from flockchain.replica.replica import Replica
    from flockchain.sim.sim_node import SimNode

__all__ = ["Spoiler", "add_item", "spoil_proposals"]

Spoiler = Callable[["SimNode", Block, StateReader], "Block | None"]


def spoil_proposals(node: SimNode, effects: list[ReplicaEffect], mark: str, spoil: Spoiler) -> list[ReplicaEffect]:
    """Replace the block of each first proposal of ours by what `spoil` makes of it and its parent's state.

    `spoil` answers None to leave a block alone. The forged block is signed with the leader's true key.
    """
    return [_spoil(node, effect, mark, spoil) if isinstance(effect, SendMessage) else effect for effect in effects]


def add_item(block: Block, item: LearningItem) -> Block:
    """The block with one more learning item and a learning root that says so; nothing else is changed."""
    learning = (*block.learning, item)
    return replace(
        block, learning=learning, header=replace(block.header, learning_root=compute_learning_root(learning))
    )


def _spoil(node: SimNode, effect: SendMessage, mark: str, spoil: Spoiler) -> SendMessage:
    message = wire.decode_message(effect.payload)
    replica = node.replica
    if not isinstance(message, wire.ProposalMessage) or replica is None:
        return effect
    proposal = message.proposal
    header = proposal.block.header
    parent = replica.ledger.get(header.parent)
    if header.view != proposal.view or header.proposer != node.account or parent is None:
        return effect
    block = spoil(node, proposal.block, parent.state)
    if block is None:
        return effect
    if (block.evidence, block.learning) != (proposal.block.evidence, proposal.block.learning):
        block = _seal(replica, block, parent) or block
    block_hash = compute_block_hash(block.header)
    vote = forge_vote(node, VoteKind.NOTARIZE, header.epoch, header.view, block_hash, replica.core.leader)
    node.world.mark(mark)
    node.world.forged.add(block_hash)
    forged = wire.ProposalMessage(replace(proposal, block=block, signature=vote.signature))
    return SendMessage(effect.peers, wire.encode_message(forged))


def _seal(replica: Replica, block: Block, parent: ExecutedBlock) -> Block | None:
    """The block with the roots that it would have if what is wrong with its parts were right; None where it stands.

    Only where our own runtime takes it: then nothing but the rule itself keeps others from doing so.
    """
    header = block.header
    draft = BlockDraft(
        parent=parent.header, parent_hash=parent.block_hash, view=header.view, epoch=header.epoch,
        proposer=header.proposer, timestamp_ms=header.timestamp_ms, reveal=block.reveal, evidence=block.evidence,
        learning=block.learning,
    )  # fmt: skip
    try:
        checked = [replica.ledger.executive.check_extrinsic(raw) for raw in block.extrinsics]
        sealed = replica.ledger.build(draft, checked)
    except FlockchainError:
        return None
    is_whole = (sealed.evidence, sealed.learning) == (block.evidence, block.learning)
    return sealed if is_whole else None
