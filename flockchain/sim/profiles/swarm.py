"""Everything at once: a rough network, partitions, clogs, crashes, pauses, wrong clocks, one Byzantine of all kinds.

Each world draws its own. Sometimes the nodes form a ring in place of a full mesh.
"""

from __future__ import annotations

import random
from typing import Final

from flockchain.sim.adversaries import ADVERSARIES
from flockchain.sim.faults import (
    draw_clocks,
    draw_clogs,
    draw_crashes,
    draw_disk_faults,
    draw_junk,
    draw_latencies,
    draw_liars,
    draw_partitions,
    draw_pauses,
)
from flockchain.sim.plan import FaultPlan
from flockchain.sim.profiles.profile import Profile, draw_network

__all__ = ["PROFILE"]

_STAKES_PERCENT: Final = (85, 115)  # of four such stakes each is less than a third
_LATENCY_MS: Final = 150


def _draw(rng: random.Random, nodes: int) -> FaultPlan:
    faults_ms = rng.randint(4_000, 8_000)
    byzantine = rng.randrange(nodes) if rng.randrange(8) else None
    return FaultPlan(
        faults_ms,
        network=draw_network(rng, (0, 20, 100, 250), (10, 50, 200)),
        restart_ms=rng.randint(100, 1_500),
        byzantine=byzantine,
        adversary=rng.choice(tuple(ADVERSARIES)),
        stakes_percent=tuple(rng.randint(*_STAKES_PERCENT) for _ in range(nodes)) if rng.randrange(2) else None,
        links=None if rng.randrange(6) else tuple((node, (node + 1) % nodes) for node in range(nodes)),
        faults=(
            *draw_crashes(rng, faults_ms, nodes, 3),
            *draw_partitions(rng, faults_ms, nodes, 2),
            *draw_clogs(rng, faults_ms, nodes, 2),
            *draw_latencies(rng, nodes, _LATENCY_MS),
            *draw_pauses(rng, faults_ms, nodes, 2),
            *draw_clocks(rng, faults_ms, nodes, 3),
            *draw_junk(rng, faults_ms, byzantine, 4),
            *draw_liars(rng, faults_ms, byzantine),
            *draw_disk_faults(rng, faults_ms, nodes, byzantine, 2),
        ),
    )


PROFILE = Profile(
    "a rough network, crashes, pauses, wrong clocks, and one Byzantine validator of all kinds",
    _draw,
    marks=frozenset(
        {
            "another chain's frame refused", "asymmetric latency", "block sync", "clock ahead", "clock set back",
            "clog", "crash", "epoch change", "evidence", "extrinsic", "flapping partition", "flipped frame refused",
            "garbage frame refused", "greedy frames", "invalid proposal", "journal replay", "left apart", "left down",
            "lie", "nullification", "offence", "one-way partition", "oversized frame refused", "partition", "pause",
            "replayed frame refused", "resolver fetch", "restart", "round advanced", "truncated frame refused",
        }
    ),
)  # fmt: skip
