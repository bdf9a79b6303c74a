"""Disks that refuse an operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flockchain.sim.world import World

__all__ = ["DiskError"]


@dataclass(frozen=True, slots=True)
class DiskError:
    """From `at_ms` on every write fails (EIO); the node stops at the next one, and its operator changes the disk."""

    at_ms: int
    node: int

    def unleash(self, world: World) -> None:
        node = world.nodes[self.node]

        def fail() -> None:
            node.folder.disk.is_failing = True
            world.mark("disk error")

        world.schedule_fault(self.at_ms, fail)
