"""A committee member that signs for two results of a round, and certifies the other one where it can."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flockchain.crypto.hashing import sha256
from flockchain.crypto.signing import compute_aggregate_bytes
from flockchain.gossip import messages as wire
from flockchain.primitives.block import Block
from flockchain.primitives.learning import AggregateCertificate, AggregateVote, Phase
from flockchain.primitives.vote import encode_bitmap
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.runtime.learning_views import find_round, list_tasks
from flockchain.sim.adversaries.bad_proposal import add_item, spoil_proposals
from flockchain.storage.overlay import StateReader

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["TwoResults"]


class TwoResults:
    """Half of its peers get its true aggregate vote, the others one over other results; its blocks certify those."""

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        done: list[ReplicaEffect] = []
        for effect in spoil_proposals(node, effects, "other results", _certify_other_results):
            vote = _read_own(node, effect)
            if vote is None or not isinstance(effect, SendMessage):
                done.append(effect)
                continue
            node.world.mark("two results")
            half = len(effect.peers) // 2
            other = wire.encode_message(wire.AggregateVoteMessage(_sign_other(node, vote)))
            done += [SendMessage(effect.peers[:half], effect.payload), SendMessage(effect.peers[half:], other)]
        return done


def _read_own(node: SimNode, effect: ReplicaEffect) -> AggregateVote | None:
    """The aggregate vote that an effect sends in the node's own name, if it is one."""
    if not isinstance(effect, SendMessage) or effect.payload[0] != wire.MessageKind.AGGREGATE_VOTE:
        return None
    message = wire.decode_message(effect.payload)
    is_own = isinstance(message, wire.AggregateVoteMessage) and message.vote.voter == node.account
    return message.vote if isinstance(message, wire.AggregateVoteMessage) and is_own else None


def _sign_other(node: SimNode, vote: AggregateVote) -> AggregateVote:
    other = replace(vote, results_root=sha256(vote.results_root), aggregate=sha256(vote.aggregate))
    message = compute_aggregate_bytes(
        node.genesis_hash, other.task, other.round, other.results_root, other.aggregate, other.aggregate_bytes
    )
    return replace(other, signature=node.world.bls.sign(node.secrets.certificate_secret, message))


def _certify_other_results(node: SimNode, block: Block, state: StateReader) -> Block | None:
    """A good signature of our own over results that are not the state's."""
    if any(isinstance(item, AggregateCertificate) for item in block.learning):
        return None
    for task in list_tasks(state):
        record = find_round(state, task.task, task.round)
        index = None if record is None else record.get_member_index(node.account)
        if record is None or index is None or record.phase is not Phase.AGGREGATE:
            continue
        results, aggregate, size = sha256(record.results_root), sha256(b"another model"), task.spec.max_update_bytes
        message = compute_aggregate_bytes(node.genesis_hash, task.task, task.round, results, aggregate, size)
        signature = node.world.bls.sign(node.secrets.certificate_secret, message)
        signers = encode_bitmap({index})
        return add_item(
            block, AggregateCertificate(task.task, task.round, results, aggregate, size, signers, signature)
        )
    return None
