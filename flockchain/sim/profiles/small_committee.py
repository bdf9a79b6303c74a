"""Committees of one or two members, so that a Byzantine one can be outside, or a third of it, or all of it."""

from __future__ import annotations

import random
from typing import Final

from flockchain.sim.plan import FaultPlan
from flockchain.sim.profiles.profile import Profile, draw_network

__all__ = ["PROFILE"]

_ADVERSARIES: Final = ("two_results", "outsider", "lone_certifier", "score_copier", "lazy_evaluator", "impostor")


def _draw(rng: random.Random, nodes: int) -> FaultPlan:
    return FaultPlan(
        rng.randint(10_000, 16_000),
        network=draw_network(rng, (0, 20), (10, 50)),
        byzantine=rng.randrange(nodes),
        adversary=rng.choice(_ADVERSARIES),
        committee_size=rng.choice((1, 1, 2)),
    )


PROFILE = Profile(
    "committees of one or two, of which a Byzantine member can be all",
    _draw,
    marks=frozenset({"other results", "outsider", "round advanced", "score copied"}),
)
