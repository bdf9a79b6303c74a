"""No two finalized blocks at a height, and none that an adversary made to break a rule.

A node's finalized chain has no gap and never falls, and state roots are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from flockchain.primitives.numbers import Hash, NodeId
from flockchain.replica.effects import CommitBlocks, InstallSnapshot, ReplicaEffect
from flockchain.sim.checkers.checker import Checker, Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Agreement"]


class Agreement(Checker):
    """Remembers the first block and root that anybody finalized at each height."""

    def __init__(self) -> None:
        self._by_height: dict[int, tuple[Hash, Hash]] = {}
        self._heights: dict[NodeId, int] = {}

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        """A snapshot that is installed is of a block that somebody finalized, and the chain goes on above it."""
        if isinstance(effect, InstallSnapshot):
            info = effect.plan.info
            if self._by_height.get(info.height) != (info.block_hash, info.state_root):
                yield Violation("agreement", f"a snapshot of another block at height {info.height}")
            if info.height <= self._heights.get(node.node_id, 0):
                yield Violation("continuity", f"a snapshot at {info.height} after {self._heights[node.node_id]}")
            self._heights[node.node_id] = info.height

    def on_committed(self, node: SimNode, effect: CommitBlocks) -> Iterable[Violation]:
        for executed in effect.executed:
            header = executed.block.header
            seen = (executed.block_hash, header.state_root)
            first = self._by_height.setdefault(header.height, seen)
            if first != seen:
                yield Violation("agreement", f"two blocks at height {header.height}")
            if header.height != self._heights.get(node.node_id, 0) + 1:
                yield Violation("continuity", f"height {header.height} after {self._heights.get(node.node_id, 0)}")
            self._heights[node.node_id] = header.height
            if executed.block_hash in node.world.forged:
                yield Violation("validity", f"a block made to break a rule was finalized at height {header.height}")

    def on_wiped(self, node: SimNode) -> Iterable[Violation]:
        self._heights[node.node_id] = node.get_height()
        return ()

    def on_end(self, nodes: Sequence[SimNode]) -> Iterable[Violation]:
        for node in nodes:
            head = node.archive.get_head()
            if head is not None and head.height and self._by_height[head.height][0] != head.block_hash:
                yield Violation("agreement", f"the disk disagrees at height {head.height}")
