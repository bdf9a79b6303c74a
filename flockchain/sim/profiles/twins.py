"""One validator's key on two nodes, each honest by itself and with its own disk; a rough network and crashes."""

from __future__ import annotations

import random
from dataclasses import replace

from flockchain.sim.faults import Fault, draw_clogs, draw_crashes, draw_partitions, draw_pauses
from flockchain.sim.plan import FaultPlan
from flockchain.sim.profiles.profile import Profile, draw_network

__all__ = ["PROFILE"]


def _draw(rng: random.Random, nodes: int) -> FaultPlan:
    faults_ms = rng.randint(4_000, 8_000)
    plan = FaultPlan(
        faults_ms,
        network=draw_network(rng, (0, 20, 100), (10, 50, 200)),
        restart_ms=rng.randint(100, 1_500),
        twin=rng.randrange(nodes),
    )
    everybody = nodes + 1
    faults: tuple[Fault, ...] = (
        *draw_crashes(rng, faults_ms, everybody, 3),
        *draw_partitions(rng, faults_ms, everybody, 2),
        *draw_clogs(rng, faults_ms, everybody, 2),
        *draw_pauses(rng, faults_ms, everybody, 2),
    )
    return replace(plan, faults=faults)


PROFILE = Profile(
    "one validator key on two honest nodes",
    _draw,
    marks=frozenset(
        {
            "clog", "crash", "epoch change", "evidence", "journal replay", "nullification", "offence", "partition",
            "pause", "resolver fetch", "restart", "validator gone", "twin voted twice",
        }
    ),
)  # fmt: skip
