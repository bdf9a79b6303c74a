"""A leader that breaks V1: it puts a score commit into its block in the name of another member."""

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

__all__ = ["Impostor"]


class Impostor:
    """Commits for a member that has not committed yet, with its own key instead of the member's."""

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        return spoil_proposals(node, effects, "V1 broken", _commit_for_another)


def _commit_for_another(node: SimNode, block: Block, state: StateReader) -> Block | None:
    for task in list_tasks(state):
        record = find_round(state, task.task, task.round)
        if record is None or record.phase is not Phase.COMMIT or record.closed:
            continue
        done = {commit.voter for commit in record.commits} | {node.account}
        done |= {item.voter for item in block.learning if isinstance(item, ScoreCommit)}
        for member in record.committee:
            if member.account not in done:
                commit = ScoreCommit(task.task, task.round, member.account, sha256(b"a made-up vote"), bytes(64))
                message = compute_score_commit_bytes(node.genesis_hash, commit)
                return add_item(block, replace(commit, signature=ed25519.sign(node.secrets.score_seed, message)))
    return None
