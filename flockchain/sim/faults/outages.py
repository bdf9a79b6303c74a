"""Nodes that are gone for long: not started yet, switched off for several epochs, or come back with an empty disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flockchain.sim.world import World

__all__ = ["Outage"]


@dataclass(frozen=True, slots=True)
class Outage:
    """A node is off for `length_ms` from `at_ms` on: with `at_ms` 0 it starts late.

    A node that `loses_disk` comes back empty. Its vote journal is lost too, so it follows the chain and signs nothing.
    """

    at_ms: int
    length_ms: int
    node: int
    loses_disk: bool = False

    def unleash(self, world: World) -> None:
        node = world.nodes[self.node]

        def switch_off() -> None:
            node.switch_off()
            if self.loses_disk:
                world.wipe(node)

        def switch_on() -> None:
            world.mark("late start" if not self.at_ms else "wiped" if self.loses_disk else "outage")
            node.switch_on()

        if self.at_ms:
            world.schedule_fault(self.at_ms, switch_off)
        else:
            node.switch_off()
        world.schedule_fault(self.at_ms + self.length_ms, switch_on)
