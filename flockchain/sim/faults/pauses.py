"""Processes that stand still for longer than a time-out: what arrives waits for them, and their timers go off late."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flockchain.sim.world import World

__all__ = ["Pause", "draw_pauses"]


@dataclass(frozen=True, slots=True)
class Pause:
    """A node does not run for `length_ms` from `at_ms` on; then everything that waits is handled at once."""

    at_ms: int
    length_ms: int
    node: int

    def unleash(self, world: World) -> None:
        node = world.nodes[self.node]
        world.schedule_fault(self.at_ms, lambda: node.pause(world.now_ms + self.length_ms))


def draw_pauses(rng: random.Random, faults_ms: int, nodes: int, most: int) -> tuple[Pause, ...]:
    """Up to `most` pauses, of a moment or of several views."""
    return tuple(
        Pause(rng.randrange(faults_ms), rng.choice((200, 1_500, 4_000)) + rng.randrange(500), rng.randrange(nodes))
        for _ in range(rng.randrange(most + 1))
    )
