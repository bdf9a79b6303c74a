"""Validators around the world: as fast as three hops allow, and no more work than a view needs.

A fifth of the size of `--profile wan`, so that it is a test; `python -m tools.bench.wan` measures a hundred.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from flockchain.sim.profiles import find_profile
from flockchain.sim.profiles.wan import build_wan_plan
from flockchain.sim.wan.verdict import Verdict, judge_world, list_violations
from flockchain.sim.world import World, build_world
from tests.kit.sim_worlds import GENESIS

NODES = 20
VIRTUAL_MS = 6_000


def run(seed: int, dead: int, virtual_ms: int = VIRTUAL_MS) -> tuple[World, Verdict]:
    plan = build_wan_plan(random.Random(seed), NODES, dead, virtual_ms)
    world = build_world(seed, GENESIS, plan, nodes=NODES)
    world.start()
    world.advance(virtual_ms)
    assert world.pace is not None
    return world, judge_world(world, world.pace)


@pytest.fixture(scope="module")
def whole() -> tuple[World, Verdict]:
    return run(1, 0)


@pytest.fixture(scope="module")
def depleted() -> tuple[World, Verdict]:
    return run(2, 6, 4 * VIRTUAL_MS)


def test_every_view_is_final_within_a_fifth_more_than_the_least_possible(whole: tuple[World, Verdict]) -> None:
    world, verdict = whole
    assert len(verdict.finals) >= 15
    assert not verdict.lost
    assert not world.violations
    assert all(1000 <= final.permille <= 1200 for final in verdict.finals)


def test_a_node_checks_four_signatures_a_view_and_syncs_its_disk_three_times(whole: tuple[World, Verdict]) -> None:
    verdict = whole[1]
    assert verdict.compute_mean_milli("checks") <= 4_100
    assert verdict.compute_mean_milli("fsyncs") <= 3_100
    assert verdict.compute_mean_milli("signatures") <= 2_200


def test_a_node_says_everything_once(whole: tuple[World, Verdict]) -> None:
    verdict = whole[1]
    peers = NODES - 1
    assert verdict.compute_max("proposals") == peers
    assert verdict.compute_mean_milli("votes") <= 2_050 * peers
    assert verdict.compute_mean_milli("certificates") <= 2_050 * 16
    assert verdict.compute_mean_milli("messages") <= 4_000 * peers


def test_absent_leaders_cost_a_time_out_and_two_hops_and_later_only_a_hop(depleted: tuple[World, Verdict]) -> None:
    world, verdict = depleted
    assert not list(list_violations(verdict))
    assert not world.violations
    known = [lost.cost_ms for lost in verdict.lost if lost.view[1] > 13]
    assert known
    assert all(cost_ms < verdict.leader_timeout_ms // 2 for cost_ms in known)


def test_a_world_slower_than_promised_is_a_violation(whole: tuple[World, Verdict]) -> None:
    verdict = whole[1]
    slow = replace(verdict.finals[0], quorum_ms=verdict.finals[0].quorum_bound_ms * 121 // 100 + 1)
    assert len(list(list_violations(replace(verdict, finals=(slow, *verdict.finals))))) == 1


def test_the_profile_has_a_hundred_validators_in_ten_regions_and_a_quorum_of_them_up() -> None:
    profile = find_profile("wan")
    for seed in range(20):
        plan = profile.draw(random.Random(seed), profile.nodes)
        assert profile.nodes == 100
        assert plan.regions is not None
        assert [plan.regions.count(region) for region in range(10)] == [10] * 10
        assert plan.stakes_percent is not None
        down = sum(plan.stakes_percent[fault.node] for fault in plan.faults)  # type: ignore[attr-defined]
        assert 3 * (sum(plan.stakes_percent) - down) > 2 * sum(plan.stakes_percent)
