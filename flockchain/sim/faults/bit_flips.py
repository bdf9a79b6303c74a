"""Bits that change on a disk while nobody looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flockchain.sim.sim_folder import VOTES_NAME

if TYPE_CHECKING:
    from flockchain.sim.world import World

__all__ = ["BitFlip"]


@dataclass(frozen=True, slots=True)
class BitFlip:
    """At `at_ms` the node stops, one bit of its vote journal flips, `permille` of the way to its end, and it starts."""

    at_ms: int
    node: int
    permille: int
    bit: int

    def unleash(self, world: World) -> None:
        node = world.nodes[self.node]

        def flip() -> None:
            if not node.is_up:
                return
            node.crash()
            disk = node.folder.disk
            length = len(disk.read(VOTES_NAME))
            disk.flip(VOTES_NAME, (length - 1) * self.permille // 1000, self.bit)
            world.mark("bit flip")
            node.boot()

        world.schedule_fault(self.at_ms, flip)
