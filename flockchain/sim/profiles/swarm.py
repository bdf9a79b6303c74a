"""Loss, delay, partitions, crashes, one Byzantine of all; sometimes a ring in place of a full mesh."""

from __future__ import annotations

import random
from typing import Final

from flockchain.sim.adversaries import ADVERSARIES
from flockchain.sim.faults import draw_crashes, draw_partitions
from flockchain.sim.plan import FaultPlan
from flockchain.sim.profiles.profile import Profile, draw_network

__all__ = ["PROFILE"]

_STAKES_PERCENT: Final = (85, 115)  # of four such stakes each is less than a third


def _draw(rng: random.Random, nodes: int) -> FaultPlan:
    faults_ms = rng.randint(4_000, 8_000)
    return FaultPlan(
        faults_ms,
        network=draw_network(rng, (0, 20, 100, 250), (10, 50, 200)),
        restart_ms=rng.randint(100, 1_500),
        byzantine=rng.randrange(nodes),
        adversary=rng.choice(tuple(ADVERSARIES)),
        stakes_percent=tuple(rng.randint(*_STAKES_PERCENT) for _ in range(nodes)) if rng.randrange(2) else None,
        links=None if rng.randrange(6) else tuple((node, (node + 1) % nodes) for node in range(nodes)),
        faults=(*draw_crashes(rng, faults_ms, nodes, 3), *draw_partitions(rng, faults_ms, nodes, 2)),
    )


PROFILE = Profile("a rough network, crashes, and one Byzantine validator of all kinds", _draw)
