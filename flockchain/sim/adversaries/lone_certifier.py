"""A leader that breaks V4: it certifies an aggregate alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flockchain.crypto.hashing import sha256
from flockchain.crypto.signing import compute_aggregate_bytes
from flockchain.primitives.block import Block
from flockchain.primitives.learning import AggregateCertificate, Phase
from flockchain.primitives.vote import encode_bitmap
from flockchain.replica.effects import ReplicaEffect
from flockchain.runtime.learning_views import find_round, list_tasks
from flockchain.sim.adversaries.bad_proposal import add_item, spoil_proposals
from flockchain.storage.overlay import StateReader

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["LoneCertifier"]


class LoneCertifier:
    """Signs for an aggregate of its own choice over the true results, and names itself as the whole quorum."""

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        return spoil_proposals(node, effects, "V4 broken", _certify_alone)


def _certify_alone(node: SimNode, block: Block, state: StateReader) -> Block | None:
    if any(isinstance(item, AggregateCertificate) for item in block.learning):
        return None
    for task in list_tasks(state):
        record = find_round(state, task.task, task.round)
        index = None if record is None else record.get_member_index(node.account)
        if record is None or index is None or record.phase is not Phase.AGGREGATE:
            continue
        if 3 * record.committee[index].stake > 2 * sum(member.stake for member in record.committee):
            continue  # it is the quorum: what it certifies stands
        aggregate, size = sha256(b"a model of my own"), task.spec.max_update_bytes
        message = compute_aggregate_bytes(
            node.genesis_hash, task.task, task.round, record.results_root, aggregate, size
        )
        signature = node.world.bls.sign(node.secrets.certificate_secret, message)
        signers = encode_bitmap({index})
        return add_item(
            block,
            AggregateCertificate(task.task, task.round, record.results_root, aggregate, size, signers, signature),
        )
    return None
