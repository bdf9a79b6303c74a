"""Data folders that are restored from an old copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flockchain.sim.sim_disk import DiskImage
    from flockchain.sim.world import World

__all__ = ["OldCopy"]


@dataclass(frozen=True, slots=True)
class OldCopy:
    """At `at_ms` the node's whole data folder is copied; `age_ms` later the node stops and starts with that copy."""

    at_ms: int
    node: int
    age_ms: int

    def unleash(self, world: World) -> None:
        node = world.nodes[self.node]
        copies: list[DiskImage] = []

        def restore() -> None:
            if node.is_up:
                node.crash()
            node.folder.disk.restore(copies[0])
            node.folder.crash()
            world.mark("old copy")
            world.on_forgotten(node)
            node.boot()

        world.schedule_fault(self.at_ms, lambda: copies.append(node.folder.disk.copy()))
        world.schedule_fault(self.at_ms + self.age_ms, restore)
