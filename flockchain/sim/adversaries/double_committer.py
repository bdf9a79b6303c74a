"""A committee member that commits to two votes in a round, each signed with its true key."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flockchain.crypto import ed25519
from flockchain.crypto.hashing import sha256
from flockchain.crypto.signing import compute_score_commit_bytes
from flockchain.gossip import messages as wire
from flockchain.primitives.learning import ScoreCommit
from flockchain.replica.effects import ReplicaEffect, SendMessage

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["DoubleCommitter"]


class DoubleCommitter:
    """Sends a second commit, to a vote that nobody knows, right after its own."""

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        done: list[ReplicaEffect] = []
        for effect in effects:
            done.append(effect)
            if isinstance(effect, SendMessage) and effect.payload[0] == wire.MessageKind.LEARNING:
                items = wire.decode_message(effect.payload).items  # type: ignore[union-attr]
                own = [item for item in items if isinstance(item, ScoreCommit) and item.voter == node.account]
                for commit in own:
                    node.world.mark("double commit")
                    second = wire.LearningMessage((_contradict(node, commit),))
                    done.append(SendMessage(effect.peers, wire.encode_message(second)))
        return done


def _contradict(node: SimNode, commit: ScoreCommit) -> ScoreCommit:
    other = replace(commit, commitment=sha256(commit.commitment), signature=bytes(64))
    message = compute_score_commit_bytes(node.genesis_hash, other)
    return replace(other, signature=ed25519.sign(node.secrets.score_seed, message))
