"""Networks that fall apart for a while: in both directions or in one only, once or again and again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flockchain.sim.world import World

__all__ = ["Partition", "draw_partitions"]


@dataclass(frozen=True, slots=True)
class Partition:
    """From `at_ms` on, for `length_ms`, nodes reach only those of their own side.

    If it is `one_way`, a lower side still hears a higher one. With `flaps` the links come and go that often.
    """

    at_ms: int
    length_ms: int
    sides: tuple[int, ...]
    one_way: bool = False
    flaps: int = 1

    def unleash(self, world: World) -> None:
        pairs = tuple(zip(world.nodes, self.sides, strict=True))
        links = tuple(
            (source.node_id, target.node_id)
            for source, side in pairs
            for target, other in pairs
            if (side < other if self.one_way else side != other)
        )
        period_ms = self.length_ms // self.flaps

        def fall_apart() -> None:
            world.network.cut(links)
            world.mark("one-way partition" if self.one_way else "partition")

        for flap in range(self.flaps):  # of each period, the links are cut for the first half; of a lone one, for all
            start_ms = self.at_ms + flap * period_ms
            world.schedule_fault(start_ms, fall_apart)
            cut_ms = period_ms if self.flaps == 1 else period_ms // 2
            world.schedule_fault(start_ms + cut_ms, lambda: world.network.mend(links))
        if self.flaps > 1:
            world.schedule_fault(self.at_ms, lambda: world.mark("flapping partition"))


def draw_partitions(rng: random.Random, faults_ms: int, nodes: int, most: int) -> tuple[Partition, ...]:
    """Up to `most` partitions in two sides, each of up to four seconds; some go one way, some flap."""
    return tuple(
        Partition(
            rng.randrange(faults_ms),
            rng.randint(300, 4_000),
            tuple(rng.randrange(2) for _ in range(nodes)),
            one_way=rng.randrange(3) == 0,
            flaps=rng.choice((1, 1, 1, rng.randint(2, 8))),
        )
        for _ in range(rng.randrange(most + 1))
    )
