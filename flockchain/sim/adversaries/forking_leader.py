"""A leader that builds upon another block than it should: it skips views that, mostly, were not nullified."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flockchain.crypto.hashing import compute_block_hash
from flockchain.gossip import messages as wire
from flockchain.primitives.errors import FlockchainError
from flockchain.primitives.numbers import View
from flockchain.primitives.vote import Proposal, VoteKind
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.runtime.executive import BlockDraft
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.adversaries.adversary import forge_vote, read_proposal

if TYPE_CHECKING:
    from flockchain.replica.replica import Replica
    from flockchain.sim.sim_node import SimNode

__all__ = ["ForkingLeader"]


class ForkingLeader:
    """Builds upon the block of the view before, if that was shown and not notarized; else beside its own parent.

    The latter is upon the grandparent, wherever that is not final yet where it stands. Whether such a block breaks a
    rule is not the leader's to say: what it passes over may be nullified, or what it rests upon notarized, by votes
    that are still on their way. `checkers.ancestry` judges that by the certificates.
    """

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        return [self._turn(node, effect) if isinstance(effect, SendMessage) else effect for effect in effects]

    def _turn(self, node: SimNode, effect: SendMessage) -> ReplicaEffect:
        replica = node.replica
        if effect.payload[0] != wire.MessageKind.PROPOSAL or replica is None:
            return effect
        proposal: Proposal = wire.decode_message(effect.payload).proposal  # type: ignore[union-attr]
        header = proposal.block.header
        if header.proposer != node.account or header.view != proposal.view:
            return effect
        below = _find_orphan(replica, proposal) or _find_grandparent(replica, proposal)
        forged = None if below is None else _build_upon(node, replica, proposal, below)
        if forged is None:
            return effect
        node.world.mark("fork")
        return SendMessage(effect.peers, wire.encode_message(wire.ProposalMessage(forged)))


def _find_orphan(replica: Replica, proposal: Proposal) -> ExecutedBlock | None:
    """The block of the view before, if it is not what we should build upon."""
    before = read_proposal(replica, View(proposal.view - 1))
    block = None if before is None else replica.ledger.get(compute_block_hash(before.block.header))
    return None if block is None or block.block_hash == proposal.block.header.parent else block


def _find_grandparent(replica: Replica, proposal: Proposal) -> ExecutedBlock | None:
    parent = replica.ledger.get(proposal.block.header.parent)
    is_inside = parent is not None and parent.header.epoch == proposal.block.header.epoch
    return replica.ledger.get(parent.header.parent) if parent is not None and is_inside else None


def _build_upon(node: SimNode, replica: Replica, proposal: Proposal, below: ExecutedBlock) -> Proposal | None:
    """A block of this view upon `below`, executed as it should be."""
    header = proposal.block.header
    draft = BlockDraft(
        parent=below.header, parent_hash=below.block_hash, view=header.view, epoch=header.epoch,
        proposer=header.proposer, timestamp_ms=header.timestamp_ms, reveal=proposal.block.reveal, evidence=(),
        learning=(),
    )  # fmt: skip
    try:
        block = replica.ledger.build(draft, ())
    except FlockchainError:
        return None
    signer = replica.core.leader
    block_hash = compute_block_hash(block.header)
    vote = forge_vote(node, VoteKind.NOTARIZE, header.epoch, header.view, block_hash, signer)
    below_view = below.header.view if below.header.epoch == header.epoch else View(0)
    return replace(proposal, parent_view=below_view, block=block, signature=vote.signature)
