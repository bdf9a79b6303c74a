"""What is on a node's disk is the chain's own execution: no more and no less.

Every honest node's state at the end is that of the mirror; and in some worlds the whole chain is executed once more
from its genesis, by a fresh runtime, with the root of each block compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from flockchain.primitives.errors import FlockchainError
from flockchain.primitives.numbers import Height
from flockchain.runtime.executive import Executive
from flockchain.runtime.flock import build_runtime
from flockchain.sim.checkers.checker import Checker, Violation
from flockchain.storage.memory_store import MemoryStore
from flockchain.storage.overlay import Overlay
from flockchain.storage.tree import StateTree

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Replay"]

_EVERY_SEEDS: Final = 8


class Replay(Checker):
    """Looks at disks only, when the world is over."""

    def on_end(self, nodes: Sequence[SimNode]) -> Iterable[Violation]:
        world = nodes[0].world
        mirror = world.mirror
        for node in nodes:
            is_judged = node.adversary is None and node.get_height() == mirror.height
            if is_judged and dict(node.archive.iterate_state()) != mirror.state:
                name = node.node_id[:4].hex()
                yield Violation("replay", f"the disk of {name} is not the state at height {mirror.height}")
        whole = [node for node in nodes if node.adversary is None and node.archive.get_first_height() == 1]
        if world.seed % _EVERY_SEEDS == 0 and whole:  # nobody pruned all there was
            yield from _replay(max(whole, key=lambda node: node.get_height()))


def _replay(node: SimNode) -> Iterable[Violation]:
    runtime = build_runtime(node.world.genesis, node.world.bls)
    executive, store = Executive(runtime), MemoryStore()
    store.write(runtime.genesis_changes, sync=False)
    tree, parent = StateTree.build(store.scan(b"")), runtime.genesis_block.header
    for height in range(1, node.get_height() + 1):
        block = node.archive.get_block(Height(height))
        if block is None:
            yield Violation("replay", f"the block of height {height} is not on disk")
            return
        overlay = Overlay(store)
        try:
            executive.apply_block(overlay, block, parent)
        except FlockchainError as error:
            yield Violation("replay", f"a final block does not execute: {error}")
            return
        changes = dict(overlay.changes)
        store.write(changes, sync=False)
        tree, parent = tree.apply(changes), block.header
        if tree.root != parent.state_root:
            yield Violation("replay", f"the root of height {height} is another one")
            return
    if dict(store.scan(b"")) != dict(node.archive.iterate_state()):
        yield Violation("replay", f"the state at height {node.get_height()} is not the chain's")
