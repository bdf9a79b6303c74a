"""Whole networks from one seed: the production replica under faults, adversaries and crashes.

A failing seed N is replayed by `flockchain sim run --seeds N..N --profile P`. `make sim` runs many more.
"""

from __future__ import annotations

from functools import cache

import pytest

from flockchain.primitives.errors import InvalidInput
from flockchain.sim.adversaries import ADVERSARIES
from flockchain.sim.plan import FaultPlan, build_calm_plan
from flockchain.sim.world import WorldReport, build_world, run_world
from tests.kit.sim_worlds import GENESIS

SWARM_SEEDS = range(20)
LEARNING_SEEDS = range(12)
MARKS = {  # what each adversary that is not merely silent is for
    "double_committer": "offence",
    "double_voter": "offence",
    "equivocating_leader": "offence",
    "false_accuser": "false accusation",
    "false_revealer": "V3 broken",
    "flooder": "flood",
    "forger": "forgery",
    "forking_leader": "fork",
    "impostor": "V1 broken",
    "invalid_proposer": "invalid proposal",
    "lazy_evaluator": "lazy evaluation",
    "lone_certifier": "V4 broken",
    "nullify_finalizer": "offence",
    "root_forger": "V2 broken",
    "score_copier": "score copied",
    "selective_sender": "selective",
    "stale_voter": "stale words",
    "two_results": "two results",
    "wrong_domain": "wrong domain",
}


@cache
def run(seed: int, profile: str) -> WorldReport:
    return run_world(seed, GENESIS, profile)


@cache
def run_against(adversary: str) -> WorldReport:
    """One adversary on a calm network, until it has done what it is for and a round has advanced."""
    world = build_world(1, GENESIS, FaultPlan(120_000, byzantine=1, adversary=adversary))
    wanted = {"round advanced", *({MARKS[adversary]} if adversary in MARKS else ())}
    world.start()
    world.advance(6_000)
    world.advance_until(lambda: wanted <= world.marks.keys(), world.plan.faults_ms)
    return world.finish()


@pytest.mark.parametrize("seed", SWARM_SEEDS)
def test_a_network_with_faults_keeps_every_promise_and_makes_progress_once_healed(seed: int) -> None:
    report = run(seed, "swarm")
    assert report.violations == ()
    assert report.height > 0


@pytest.mark.parametrize("seed", LEARNING_SEEDS)
def test_rounds_keep_every_promise_with_evaluators_that_fail_and_trainers_that_cheat(seed: int) -> None:
    assert run(seed, "learning").violations == ()


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    again = run_world(7, GENESIS, "swarm")
    assert run(7, "swarm") == again
    assert run(7, "swarm").trace_hash != run(8, "swarm").trace_hash


def test_the_swarm_reaches_what_it_is_for() -> None:
    marks = {mark for seed in SWARM_SEEDS for mark in run(seed, "swarm").marks}
    assert {"crash", "extrinsic", "Evaluate", "Aggregate", "round advanced", "offence"} <= marks


def test_the_learning_worlds_reach_what_they_are_for() -> None:
    marks = {mark for seed in LEARNING_SEEDS for mark in run(seed, "learning").marks}
    assert {"round advanced", "round void", "evaluator failed", "update withheld", "crash"} <= marks


def test_the_world_runs_on_real_bls_too() -> None:
    assert run_world(3, GENESIS, "swarm", crypto="real").violations == ()


def test_an_unknown_profile_or_scheme_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no such profile"):
        build_world(1, GENESIS, "quiet")
    with pytest.raises(InvalidInput, match="fast or real"):
        build_world(1, GENESIS, "calm", crypto="slow")


@pytest.mark.parametrize("adversary", ADVERSARIES)
def test_no_adversary_breaks_a_promise_or_stops_the_rounds(adversary: str) -> None:
    report = run_against(adversary)
    assert report.violations == ()  # among them: "a block made to break a rule was finalized"
    assert report.marks["round advanced"] > 0


@pytest.mark.parametrize(
    ("adversary", "reason"),
    [
        ("impostor", "the commit is not signed by its voter"),
        ("false_revealer", "the reveal does not open its commit"),
        ("lone_certifier", "the certificate has no quorum"),
        ("invalid_proposer", "state root is not the execution's"),
    ],
)
def test_a_block_that_breaks_one_rule_is_refused_for_it(adversary: str, reason: str) -> None:
    report = run_against(adversary)
    assert report.marks[MARKS[adversary]] > 0
    assert any(reason in refusal for refusal in report.refusals)


def test_a_block_whose_learning_root_is_forged_never_reaches_execution() -> None:
    report = run_against("root_forger")
    assert report.marks["V2 broken"] > 0
    assert not any("learning_root" in refusal for refusal in report.refusals)


@pytest.mark.parametrize("adversary", [name for name, mark in MARKS.items() if mark == "offence"])
def test_whoever_signs_two_things_pays_for_it(adversary: str) -> None:
    assert run_against(adversary).marks["offence"] > 0


@pytest.mark.parametrize("adversary", ["", "flooder", "withholder"])
def test_on_a_line_of_nodes_everything_is_passed_on(adversary: str) -> None:
    """Nodes know their neighbours only; junk of one must not take the place of what another passes on.

    Whoever has one neighbour hears no quorum before its first vote (R13), and waits ten seconds for it.
    """
    byzantine = 0 if adversary else None
    plan = FaultPlan(24_000, byzantine=byzantine, adversary=adversary, links=((0, 1), (1, 2), (2, 3)))
    report = run_world(3, GENESIS, plan)
    assert report.violations == ()
    assert report.marks["round advanced"] > 0


def test_a_flood_neither_stops_a_round_nor_hurries_the_chain() -> None:
    """Boasts of heights, junk in every queue: members do their duty, and blocks keep their pace."""
    report, calm = run_against("flooder"), run_world(1, GENESIS, build_calm_plan(25_000))
    assert report.marks["flood"] > 0
    assert report.marks["round advanced"] > 0
    assert report.marks["Penalise"] > 0
    assert max(report.finalized_heights) <= max(calm.finalized_heights)
