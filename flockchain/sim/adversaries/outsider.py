"""A leader that breaks V1: it puts a commit of its own into its block although it was not drawn into the committee."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flockchain.crypto import ed25519
from flockchain.crypto.hashing import sha256
from flockchain.crypto.signing import compute_score_commit_bytes
from flockchain.primitives.block import Block
from flockchain.primitives.learning import Phase, ScoreCommit
from flockchain.replica.effects import ReplicaEffect
from flockchain.runtime.learning_views import find_round, list_tasks
from flockchain.sim.adversaries.bad_proposal import add_item, spoil_proposals
from flockchain.storage.overlay import StateReader

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Outsider"]


class Outsider:
    """Commits wherever it is no member, properly signed."""

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        return spoil_proposals(node, effects, "outsider", _commit_as_nobody)


def _commit_as_nobody(node: SimNode, block: Block, state: StateReader) -> Block | None:
    for task in list_tasks(state):
        record = find_round(state, task.task, task.round)
        if record is None or record.phase is not Phase.COMMIT or record.closed:
            continue
        if record.get_member_index(node.account) is None:
            commit = ScoreCommit(task.task, task.round, node.account, sha256(b"nobody asked"), bytes(64))
            message = compute_score_commit_bytes(node.genesis_hash, commit)
            return add_item(block, replace(commit, signature=ed25519.sign(node.secrets.score_seed, message)))
    return None
