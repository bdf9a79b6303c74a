"""Marks that a large run must reach, and the profile that a seed is for."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from flockchain.sim.profiles import PROFILES, SHARED, choose_profile
from flockchain.sim.recording import Recording
from flockchain.sim.swarm import LARGE_WORLDS, find_missing_marks
from flockchain.sim.world import WorldReport


def build_reports(profile: str, count: int, marks: frozenset[str]) -> list[WorldReport]:
    """So many worlds, of which the last alone has been through anything."""
    reports = [WorldReport(seed, (), "", (1,), {}, (), profile) for seed in range(count)]
    return [*reports[:-1], WorldReport(count, (), "", (1,), dict.fromkeys(marks, 1), (), profile)]


@pytest.mark.parametrize("name", SHARED)
def test_a_large_run_must_reach_every_mark_of_its_profile_in_some_world(name: str) -> None:
    marks = PROFILES[name].marks
    assert find_missing_marks(build_reports(name, LARGE_WORLDS, marks)) == ()
    for mark in marks:
        assert find_missing_marks(build_reports(name, LARGE_WORLDS, marks - {mark})) == (f"{name}: {mark}",)


def test_a_small_run_need_not_reach_anything() -> None:
    assert find_missing_marks(build_reports("swarm", LARGE_WORLDS - 1, frozenset())) == ()


def test_each_profile_of_a_mixed_run_counts_for_itself() -> None:
    mixed = build_reports("swarm", LARGE_WORLDS, PROFILES["swarm"].marks) + build_reports("twins", 9, frozenset())
    assert find_missing_marks(mixed) == ()


def test_all_means_that_the_seeds_take_turns() -> None:
    assert [choose_profile("all", seed) for seed in range(len(SHARED))] == list(SHARED)
    assert {choose_profile("all", seed) for seed in range(20, 40)} == set(SHARED)
    assert choose_profile("calm", 3) == "calm"


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_draws_the_same_fate_from_the_same_seed(name: str) -> None:
    profile = PROFILES[name]
    draws = [profile.draw(Random(seed), profile.nodes) for seed in (5, 5)]
    habits = [(plan.habits.snapshot_config, plan.habits.retention) for plan in draws]
    assert habits[0] == habits[1]
    assert replace(draws[0], habits=draws[1].habits) == draws[1]


def test_a_recording_is_bounded_and_keeps_the_oldest_and_the_newest() -> None:
    recording = Recording()
    for at in range(10_000):
        recording.hear(at.to_bytes(2, "big"))
    heard = [int.from_bytes(frame, "big") for frame in recording.frames]
    assert heard[0] == 0
    assert heard[-1] > 9_900
    assert heard == sorted(heard)
    assert 200 < len(heard) <= 512
