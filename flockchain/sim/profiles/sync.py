"""Nodes that are far behind: started when the chain is long, off for several epochs, or robbed of their disks."""

from __future__ import annotations

import random
from typing import Final

from flockchain.primitives.limits import STATE_ROOTS_KEPT
from flockchain.replica.assembly import Habits
from flockchain.sim.adversaries import ADVERSARIES
from flockchain.sim.faults import Fault, Outage, draw_clogs, draw_crashes, draw_junk, draw_liars
from flockchain.sim.plan import FaultPlan
from flockchain.sim.profiles.profile import Profile, draw_network
from flockchain.sync import RetentionConfig, SnapshotConfig

__all__ = ["PROFILE"]

_GUESTS: Final = 2  # who have no stake: they may come and go as they like


def _draw(rng: random.Random, nodes: int) -> FaultPlan:
    """Either one validator is Byzantine or one loses its journal with its disk: never a third of the stake."""
    faults_ms = rng.randint(6_000, 11_000)
    byzantine = rng.randrange(nodes) if rng.randrange(2) else None
    everybody = nodes + _GUESTS
    return FaultPlan(
        faults_ms,
        network=draw_network(rng, (0, 0, 20, 100), (10, 50)),
        restart_ms=rng.randint(100, 1_500),
        byzantine=byzantine,
        adversary=rng.choice(tuple(ADVERSARIES)),
        guests=_GUESTS,
        habits=_draw_habits(rng),
        faults=(
            *_draw_outages(rng, faults_ms, nodes, byzantine),
            *draw_crashes(rng, faults_ms, everybody, 2),
            *draw_clogs(rng, faults_ms, everybody, 1),
            *draw_junk(rng, faults_ms, byzantine, 2),
            *draw_liars(rng, faults_ms, byzantine),
        ),
    )


def _draw_habits(rng: random.Random) -> Habits:
    """In two of three worlds there are snapshots, and whoever is far behind joins by one; some keep few blocks."""
    if rng.randrange(3) == 0:
        return Habits(SnapshotConfig(is_enabled=False), RetentionConfig(snapshot_blocks=0))
    return Habits(
        SnapshotConfig(
            lag_blocks=rng.choice((10, 40)),
            offer_wait_ms=500,
            request_timeout_ms=rng.choice((500, 2_000)),
            backoff_ms=500,
            retry_ms=3_000,
        ),
        RetentionConfig(rng.choice((8, 40)), rng.choice((0, STATE_ROOTS_KEPT))),
    )


def _draw_outages(rng: random.Random, faults_ms: int, nodes: int, byzantine: int | None) -> tuple[Fault, ...]:
    """The guests start late or lose their disks; a validator is off for long, or loses its disk too."""
    outages = [Outage(0, rng.randrange(1, faults_ms), nodes)]
    if rng.randrange(2):
        outages.append(Outage(0, rng.randrange(1, faults_ms), nodes + 1))
    else:
        at_ms = rng.randrange(1, faults_ms)
        outages.append(Outage(at_ms, rng.randrange(200, faults_ms), nodes + 1, loses_disk=True))
    node, at_ms, length_ms = rng.randrange(nodes), rng.randrange(1, faults_ms), rng.randrange(500, faults_ms)
    if node != byzantine:
        outages.append(Outage(at_ms, length_ms, node, loses_disk=byzantine is None and rng.randrange(2) == 0))
    return tuple(outages)


PROFILE = Profile(
    "wiped nodes, late nodes, and nodes that were off for several epochs",
    _draw,
    marks=frozenset(
        {
            "block sync", "catching up from far behind", "crash", "epoch change", "late start", "left down", "lie",
            "outage", "restart", "snapshot", "state sync", "wiped",
        }
    ),
)  # fmt: skip
