"""A hundred validators in ten regions of the world, all linked to all; in most worlds some of them are down."""

from __future__ import annotations

import random
from typing import Final

from flockchain.sim.faults import Outage
from flockchain.sim.plan import FaultPlan
from flockchain.sim.profiles.profile import Profile
from flockchain.sim.wan.regions import REGIONS

__all__ = ["EPOCH_BLOCKS", "PROFILE", "build_wan_plan"]

EPOCH_BLOCKS: Final = 10_000  # no world lasts so long: an epoch's end is another profile's subject

_NODES: Final = 100
_FAULTS_MS: Final = 6_000
_DEAD_MAX: Final = 12
_ALWAYS_MS: Final = 10**9
_STAKES_PERCENT: Final = (60, 140)  # unequal, and nobody with much


def build_wan_plan(rng: random.Random, nodes: int, dead: int, faults_ms: int) -> FaultPlan:
    """A place and a stake for each of `nodes`, and `dead` of them that never start."""
    regions = [index % len(REGIONS) for index in range(nodes)]
    rng.shuffle(regions)
    return FaultPlan(
        faults_ms,
        stakes_percent=tuple(rng.randint(*_STAKES_PERCENT) for _ in range(nodes)),
        faults=tuple(Outage(0, _ALWAYS_MS, node) for node in sorted(rng.sample(range(nodes), dead))),
        regions=tuple(regions),
        epoch_blocks=EPOCH_BLOCKS,
    )


def _draw(rng: random.Random, nodes: int) -> FaultPlan:
    return build_wan_plan(rng, nodes, rng.randrange(_DEAD_MAX + 1), _FAULTS_MS)


PROFILE = Profile("a hundred validators in ten regions, some of them down", _draw, nodes=_NODES)
