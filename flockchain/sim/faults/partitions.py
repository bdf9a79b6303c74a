"""Networks that fall apart for a while."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flockchain.sim.world import World

__all__ = ["Partition", "draw_partitions"]


@dataclass(frozen=True, slots=True)
class Partition:
    """From `at_ms` on, for `length_ms`, nodes reach only those of their own side."""

    at_ms: int
    length_ms: int
    sides: tuple[int, ...]

    def unleash(self, world: World) -> None:
        sides = {node.node_id: side for node, side in zip(world.nodes, self.sides, strict=True)}
        world.schedule.add(self.at_ms, lambda: world.network.partition(sides))
        world.schedule.add(self.at_ms + self.length_ms, lambda: world.network.partition({}))


def draw_partitions(rng: random.Random, faults_ms: int, nodes: int, most: int) -> tuple[Partition, ...]:
    """Up to `most` partitions in two sides, each of up to four seconds."""
    return tuple(
        Partition(rng.randrange(faults_ms), rng.randint(300, 4_000), tuple(rng.randrange(2) for _ in range(nodes)))
        for _ in range(rng.randrange(most + 1))
    )
