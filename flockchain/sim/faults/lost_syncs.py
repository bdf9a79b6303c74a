"""Disks that acknowledge what they have not written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flockchain.sim.world import World

__all__ = ["LostSync"]


@dataclass(frozen=True, slots=True)
class LostSync:
    """From `at_ms` on the node's disk lies; after `effects` more effects the node crashes, its last syncs are gone."""

    at_ms: int
    node: int
    effects: int

    def unleash(self, world: World) -> None:
        node = world.nodes[self.node]

        def lie() -> None:
            node.folder.disk.is_lying = True
            world.plan_crash(node, self.effects)

        world.schedule_fault(self.at_ms, lie)
