"""Whole networks from one seed: the production replica under faults, adversaries and crashes.

A failing seed N is replayed by `flockchain sim run --seeds N..N --profile P`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from flockchain.sim.profile import BYZANTINE
from flockchain.sim.world import run_world

GENESIS = Path(__file__).parents[2] / "genesis" / "minimal.toml"


@pytest.mark.parametrize("seed", range(24))
def test_a_network_with_faults_agrees_and_makes_progress_once_healed(seed: int) -> None:
    report = run_world(seed, GENESIS, "swarm")
    assert report.violations == ()
    assert min(report.finalized_heights) > 0


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    first, again, other = (run_world(seed, GENESIS, "swarm") for seed in (7, 7, 8))
    assert first == again
    assert first.trace_hash != other.trace_hash


def test_the_swarm_reaches_what_it_is_for() -> None:
    marks = {mark for seed in range(30, 50) for mark in run_world(seed, GENESIS, "swarm").marks}
    assert {"crash", "equivocation", "invalid proposal", "V2 broken", "extrinsic", "Evaluate", "Aggregate"} <= marks


def test_the_world_runs_on_real_bls_too() -> None:
    report = run_world(3, GENESIS, "swarm", crypto="real")
    assert report.violations == ()


@pytest.mark.parametrize(
    ("adversary", "mark", "reason"),
    [
        ("impostor", "V1 broken", "the commit is not signed by its voter"),
        ("false_revealer", "V3 broken", "the reveal does not open its commit"),
        ("lone_certifier", "V4 broken", "the certificate has no quorum"),
        ("invalid_proposer", "invalid proposal", "state root is not the execution's"),
    ],
)
def test_a_block_that_breaks_one_rule_is_refused_for_it_and_never_finalized(
    adversary: str, mark: str, reason: str
) -> None:
    report = run_world(1, GENESIS, adversary)
    assert report.marks[mark] > 0
    assert any(reason in refusal for refusal in report.refusals)
    assert report.violations == ()  # among them: "a block made to break a rule was finalized"


def test_a_block_whose_learning_root_is_forged_never_reaches_execution_and_is_never_finalized() -> None:
    report = run_world(1, GENESIS, "root_forger")
    assert report.marks["V2 broken"] > 0
    assert report.violations == ()


def test_every_adversary_has_a_world_of_its_own() -> None:
    assert all(run_world(2, GENESIS, adversary).violations == () for adversary in sorted(BYZANTINE)[:2])
