"""A few seeds of every profile, and that a seed's world is the same however it is run.

A failing seed N is replayed by `flockchain sim run --seeds N --profile P`, and told by the same with `--trace FILE`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from flockchain.sim.profiles import SHARED
from flockchain.sim.swarm import run_swarm
from flockchain.sim.world import WorldReport, run_world
from tests.kit.sim_worlds import GENESIS

SEEDS = range(40, 44)
PURPOSES = {  # what each profile is for, within a few seeds
    "twins": {"restart", "signing stopped"},
    "epoch": {"bond", "joined validator proposed", "leave", "validator gone", "validator joined"},
    "sync": {"block sync", "catching up from far behind", "late start", "wiped"},
}


@cache
def run(seed: int, profile: str) -> WorldReport:
    return run_world(seed, GENESIS, profile)


@pytest.mark.parametrize("profile", PURPOSES)
@pytest.mark.parametrize("seed", SEEDS)
def test_every_promise_is_kept(seed: int, profile: str) -> None:
    report = run(seed, profile)
    assert report.violations == ()
    assert report.height > 0


@pytest.mark.parametrize("profile", PURPOSES)
def test_a_profile_does_what_it_is_for(profile: str) -> None:
    assert PURPOSES[profile] <= {mark for seed in SEEDS for mark in run(seed, profile).marks}


def test_a_seed_gives_the_same_world_alone_in_a_batch_and_in_another_process() -> None:
    """Five seeds: one of each profile. What one world leaves behind must not show in the next."""
    first = 40
    last = first + len(SHARED) - 1
    batch = list(run_swarm(first, last, GENESIS, "all"))
    assert [report.profile for report in batch] == list(SHARED)
    assert list(run_swarm(first, last, GENESIS, "all", jobs=2)) == batch
    for report in reversed(batch):
        assert run_world(report.seed, GENESIS, report.profile) == report
    assert run_world(first + 1, GENESIS, "all") == batch[1]


def test_a_story_is_told_without_changing_it(tmp_path: Path) -> None:
    told = run_world(41, GENESIS, "twins", trace=tmp_path / "story")
    assert told == run(41, "twins")
    lines = (tmp_path / "story").read_text().splitlines()
    times = [int(line.split()[0]) for line in lines]
    assert times == sorted(times)
    assert {line.split()[1] for line in lines} == {"world", "n0", "n1", "n2!", "n3", "n4!"}
    for word in ("Boot", "PersistVote", "CommitBlocks", "SetTimer", "ViewEntered", "to n", "NOTARIZE 0/1", "height 1 "):
        assert any(word in line for line in lines), word
