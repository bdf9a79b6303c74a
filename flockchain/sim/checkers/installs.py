"""A snapshot that was put in place is the state that replaying the chain up to its height gives: no more, no less.

Keeps the changes of every block, and makes the state of a height again from genesis when somebody installs one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from flockchain.primitives.numbers import NodeId
from flockchain.replica.effects import InstallSnapshot, ReplicaEffect
from flockchain.runtime.flock import build_runtime
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers.checker import Checker, Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Installs"]


class Installs(Checker):
    """Compares whole states, key by key."""

    def __init__(self) -> None:
        self._changes: list[Mapping[bytes, bytes | None]] = []  # of the blocks from height 1 on
        self._expected: dict[NodeId, int] = {}  # who installs what height

    def on_block(self, node: SimNode, executed: ExecutedBlock, state: Mapping[bytes, bytes]) -> Iterable[Violation]:
        self._changes.append(executed.changes)
        return ()

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        if isinstance(effect, InstallSnapshot):
            self._expected[node.node_id] = effect.plan.info.height
        return ()

    def on_wiped(self, node: SimNode) -> Iterable[Violation]:
        self._expected.pop(node.node_id, None)
        return ()

    def on_boot(self, node: SimNode) -> Iterable[Violation]:
        height = self._expected.pop(node.node_id, None)
        if height is None or node.adversary is not None:
            return
        name = node.node_id[:4].hex()
        if node.get_height() != height:
            yield Violation("installs", f"{name} begins at {node.get_height()} with a snapshot of {height}")
        elif dict(node.archive.iterate_state()) != self._replay(node, height):
            yield Violation("installs", f"the snapshot that {name} installed is not the state at height {height}")

    def _replay(self, node: SimNode, height: int) -> dict[bytes, bytes]:
        genesis = build_runtime(node.world.genesis, node.world.bls).genesis_changes
        state: dict[bytes, bytes | None] = dict(genesis)
        for changes in self._changes[:height]:
            state.update(changes)
        return {key: value for key, value in state.items() if value is not None}
