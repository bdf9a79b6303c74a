"""A committee member that commits to two votes in a round, each signed with its true key."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flockchain.crypto import ed25519
from flockchain.crypto.hashing import sha256
from flockchain.crypto.signing import compute_score_commit_bytes
from flockchain.gossip import messages as wire
from flockchain.primitives.block import Block
from flockchain.primitives.learning import Phase, ScoreCommit
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.runtime.learning_views import find_round, list_tasks
from flockchain.sim.adversaries.bad_proposal import add_item, spoil_proposals
from flockchain.storage.overlay import StateReader

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["DoubleCommitter"]


class DoubleCommitter:
    """Sends a second commit, to a vote that nobody knows, right after its own; and puts it into its blocks as well."""

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        done: list[ReplicaEffect] = []
        for effect in spoil_proposals(node, effects, "second commit", _commit_again):
            done.append(effect)
            if isinstance(effect, SendMessage) and effect.payload[0] == wire.MessageKind.LEARNING:
                items = wire.decode_message(effect.payload).items  # type: ignore[union-attr]
                own = [item for item in items if isinstance(item, ScoreCommit) and item.voter == node.account]
                for commit in own:
                    node.world.mark("double commit")
                    second = wire.LearningMessage((_contradict(node, commit),))
                    done.append(SendMessage(effect.peers, wire.encode_message(second)))
        return done


def _commit_again(node: SimNode, block: Block, state: StateReader) -> Block | None:
    """One more commit, where the state holds one of ours already."""
    for task in list_tasks(state):
        record = find_round(state, task.task, task.round)
        if record is None or record.phase is not Phase.COMMIT or record.closed:
            continue
        if any(commit.voter == node.account for commit in record.commits):
            own = ScoreCommit(task.task, task.round, node.account, sha256(b"a vote"), bytes(64))
            return add_item(block, _contradict(node, own))
    return None


def _contradict(node: SimNode, commit: ScoreCommit) -> ScoreCommit:
    other = replace(commit, commitment=sha256(commit.commitment), signature=bytes(64))
    message = compute_score_commit_bytes(node.genesis_hash, other)
    return replace(other, signature=ed25519.sign(node.secrets.score_seed, message))
