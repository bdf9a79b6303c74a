"""A leader that breaks V3: the reveal of its own that it puts into its block does not open its commit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flockchain.crypto import ed25519
from flockchain.crypto.hashing import compute_learning_root, sha256
from flockchain.crypto.signing import compute_score_reveal_bytes
from flockchain.primitives.block import Block
from flockchain.primitives.learning import ScoreReveal
from flockchain.replica.effects import ReplicaEffect
from flockchain.sim.adversaries.bad_proposal import spoil_proposals
from flockchain.storage.overlay import StateReader

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["FalseRevealer"]


class FalseRevealer:
    """Takes its own reveal out of its block and puts one with another salt there, signed as it should be."""

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        return spoil_proposals(node, effects, "V3 broken", _reveal_another_vote)


def _reveal_another_vote(node: SimNode, block: Block, state: StateReader) -> Block | None:
    for position, item in enumerate(block.learning):
        if isinstance(item, ScoreReveal) and item.voter == node.account:
            other = replace(item, salt=sha256(item.salt), signature=bytes(64))
            message = compute_score_reveal_bytes(node.genesis_hash, other)
            forged = replace(other, signature=ed25519.sign(node.secrets.score_seed, message))
            learning = (*block.learning[:position], forged, *block.learning[position + 1 :])
            header = replace(block.header, learning_root=compute_learning_root(learning))
            return replace(block, learning=learning, header=header)
    return None
