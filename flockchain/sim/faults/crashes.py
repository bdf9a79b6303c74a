"""Processes that stop between any two of their effects, and start again from their disks."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flockchain.sim.world import World

__all__ = ["Crash", "draw_crashes"]


@dataclass(frozen=True, slots=True)
class Crash:
    """A node stops after `effects` more effects, counted from `at_ms`: between any two of them."""

    at_ms: int
    node: int
    effects: int

    def unleash(self, world: World) -> None:
        node = world.nodes[self.node]
        world.schedule_fault(self.at_ms, lambda: world.plan_crash(node, self.effects))


def draw_crashes(rng: random.Random, faults_ms: int, nodes: int, most: int) -> tuple[Crash, ...]:
    """Up to `most` crashes, or, now and then, all nodes at once."""
    if rng.randrange(8) == 0:  # the power goes everywhere
        at_ms = rng.randrange(faults_ms)
        return tuple(Crash(at_ms, node, rng.randrange(10)) for node in range(nodes))
    return tuple(
        Crash(rng.randrange(faults_ms), rng.randrange(nodes), rng.randrange(40)) for _ in range(rng.randrange(most + 1))
    )
