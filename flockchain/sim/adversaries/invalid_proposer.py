"""A leader that signs properly for blocks that do not execute to what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flockchain.crypto.hashing import sha256
from flockchain.primitives.block import Block
from flockchain.replica.effects import ReplicaEffect
from flockchain.sim.adversaries.bad_proposal import spoil_proposals
from flockchain.storage.overlay import StateReader

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["InvalidProposer"]


class InvalidProposer:
    """Names another post-state in every block that it proposes."""

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        return spoil_proposals(node, effects, "invalid proposal", _name_another_root)


def _name_another_root(node: SimNode, block: Block, state: StateReader) -> Block:
    return replace(block, header=replace(block.header, state_root=sha256(block.header.state_root)))
