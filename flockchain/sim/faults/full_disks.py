"""Disks without room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flockchain.sim.world import World

__all__ = ["FullDisk"]


@dataclass(frozen=True, slots=True)
class FullDisk:
    """From `at_ms` on there is no room; the node stops at its next write, and its operator makes some."""

    at_ms: int
    node: int

    def unleash(self, world: World) -> None:
        node = world.nodes[self.node]

        def fill() -> None:
            node.folder.disk.is_full = True
            world.mark("full disk")

        world.schedule_fault(self.at_ms, fill)
