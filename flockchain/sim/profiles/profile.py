"""What a profile is: how to draw a world's fate, and what its worlds must have been through when enough were run."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from flockchain.sim.network import NetworkFaults
from flockchain.sim.plan import FaultPlan

__all__ = ["Profile", "draw_network"]


@dataclass(frozen=True, slots=True)
class Profile:
    """`draw` gives the fate of one world of `nodes` validators; `marks` are what a large run must reach somewhere."""

    summary: str
    draw: Callable[[random.Random, int], FaultPlan]
    nodes: int = 4
    marks: frozenset[str] = frozenset()


def draw_network(rng: random.Random, losses: tuple[int, ...], delays_ms: tuple[int, ...]) -> NetworkFaults:
    """A network that loses, duplicates and reorders, as bad as one of each of the given."""
    return NetworkFaults(
        loss_permille=rng.choice(losses),
        duplicate_permille=rng.choice((0, 50)),
        delay_min_ms=1,
        delay_max_ms=rng.choice(delays_ms),
        slow_permille=rng.choice((0, 30)),
    )
