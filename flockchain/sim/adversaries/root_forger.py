"""A leader that breaks V2: its `learning_root` is not the root of its learning section."""

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

__all__ = ["RootForger"]


class RootForger:
    """Spoils the learning root of every block that it proposes."""

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        return spoil_proposals(node, effects, "V2 broken", _forge)


def _forge(node: SimNode, block: Block, state: StateReader) -> Block:
    return replace(block, header=replace(block.header, learning_root=sha256(block.header.learning_root)))
