"""Nodes that join by a snapshot of the state, in a simulated network: full participants afterwards."""

from __future__ import annotations

from flockchain.replica.assembly import Habits
from flockchain.sim.faults import Outage
from flockchain.sim.plan import FaultPlan
from flockchain.sim.world import World, build_world
from flockchain.sync import RetentionConfig, SnapshotConfig
from tests.kit.sim_worlds import GENESIS

QUICK = Habits(
    SnapshotConfig(lag_blocks=10, offer_wait_ms=500, request_timeout_ms=1_000, backoff_ms=500, retry_ms=3_000),
    RetentionConfig(snapshot_blocks=8),
)


def run(seed: int, plan: FaultPlan) -> World:
    world = build_world(seed, GENESIS, plan)
    report = world.run()
    assert report.violations == (), report
    return world


def test_a_node_that_starts_late_joins_by_a_snapshot():
    plan = FaultPlan(12_000, guests=1, faults=(Outage(0, 9_000, 4),), habits=QUICK)
    world = run(1, plan)
    assert world.marks["state sync"] >= 1
    guest = world.nodes[4]
    assert guest.archive.get_first_height() >= 8
