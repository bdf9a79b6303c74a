"""Two validators with most of the stake and others with little: heads and stake give different quorums."""

from __future__ import annotations

import random
from typing import Final

from flockchain.sim.adversaries import ADVERSARIES
from flockchain.sim.faults import draw_crashes, draw_partitions
from flockchain.sim.plan import FaultPlan
from flockchain.sim.profiles.profile import Profile, draw_network

__all__ = ["PROFILE"]

_LARGE_PERCENT: Final = (90, 110)
_SMALL_PERCENT: Final = (10, 30)


def _draw(rng: random.Random, nodes: int) -> FaultPlan:
    faults_ms = rng.randint(4_000, 8_000)
    large = rng.sample(range(nodes), 2)
    small = [node for node in range(nodes) if node not in large]
    return FaultPlan(
        faults_ms,
        network=draw_network(rng, (0, 20, 100), (10, 50, 200)),
        restart_ms=rng.randint(100, 1_500),
        byzantine=rng.choice(small),
        adversary=rng.choice(tuple(ADVERSARIES)),
        stakes_percent=tuple(
            rng.randint(*(_LARGE_PERCENT if node in large else _SMALL_PERCENT)) for node in range(nodes)
        ),
        faults=(*draw_crashes(rng, faults_ms, nodes, 3), *draw_partitions(rng, faults_ms, nodes, 2)),
    )


PROFILE = Profile("two validators with most of the stake", _draw, marks=frozenset({"crash", "extrinsic", "partition"}))
