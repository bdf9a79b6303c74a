"""A committee member is killed at every point of a round and restarted: the round completes, nothing is signed twice.

Each point is a world of its own on a calm network, with the same seed: a failing one replays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from flockchain.duties import Aggregate, Evaluate
from flockchain.duties.records import AggregateDuty, CommitDuty
from flockchain.primitives.learning import AggregateVote, Phase, ScoreCommit, ScoreReveal
from flockchain.replica import effects as out
from flockchain.sim.network import NetworkFaults
from flockchain.sim.plan import build_calm_plan
from flockchain.sim.sim_folder import DUTIES_NAME
from flockchain.sim.sim_node import SimNode
from flockchain.sim.world import World, build_world
from tests.kit.sim_worlds import GENESIS, Recorder, find_first_round, is_journal_of, is_work, says, watch

SEED = 6
VICTIM = 1
ROUND_MS = 40_000  # far more than a round takes
Moment = Callable[[World, SimNode], Callable[[out.ReplicaEffect], bool]]


def before(build: Callable[[SimNode], Callable[[out.ReplicaEffect], bool]]) -> Moment:
    return lambda world, node: build(node)


def after(build: Callable[[SimNode], Callable[[out.ReplicaEffect], bool]]) -> Moment:
    """Before the effect that follows the one that is meant."""

    def make(world: World, node: SimNode) -> Callable[[out.ReplicaEffect], bool]:
        is_it = build(node)
        seen: list[bool] = []

        def is_next(effect: out.ReplicaEffect) -> bool:
            was_seen = bool(seen)
            if is_it(effect):
                seen.append(True)
            return was_seen

        return is_next

    return make


def while_in(phase: Phase, is_reached: Callable[[World, SimNode], bool] = lambda *_: True) -> Moment:
    """At any effect, once the first round is in a phase and something holds."""

    def make(world: World, node: SimNode) -> Callable[[out.ReplicaEffect], bool]:
        def is_there(effect: out.ReplicaEffect) -> bool:
            record = find_first_round(world)
            return record is not None and record.phase is phase and is_reached(world, node)

        return is_there

    return make


def has_updates(world: World, node: SimNode) -> bool:
    record = find_first_round(world)
    return record is not None and len(record.updates) > 0


def has_committed(world: World, node: SimNode) -> bool:
    record = find_first_round(world)
    return record is not None and any(commit.voter == node.account for commit in record.commits)


def has_revealed(world: World, node: SimNode) -> bool:
    record = find_first_round(world)
    return record is not None and any(reveal.voter == node.account for reveal in record.reveals)


MOMENTS: dict[str, Moment] = {
    "SUBMIT, with no update yet": while_in(Phase.SUBMIT),
    "SUBMIT, with updates": while_in(Phase.SUBMIT, has_updates),
    "COMMIT, as it begins": while_in(Phase.COMMIT),
    "COMMIT, before the evaluation is ordered": before(lambda node: is_work(Evaluate)),
    "COMMIT, while the evaluation runs": after(lambda node: is_work(Evaluate)),
    "COMMIT, before the vote is journaled": before(lambda node: is_journal_of(CommitDuty)),
    "COMMIT, between the journal and the commit": before(lambda node: says(node, ScoreCommit)),
    "COMMIT, after the commit": after(lambda node: says(node, ScoreCommit)),
    "COMMIT, with the commit in a block": while_in(Phase.COMMIT, has_committed),
    "REVEAL, as it begins": while_in(Phase.REVEAL),
    "REVEAL, before the reveal": before(lambda node: says(node, ScoreReveal)),
    "REVEAL, after the reveal": after(lambda node: says(node, ScoreReveal)),
    "REVEAL, with the reveal in a block": while_in(Phase.REVEAL, has_revealed),
    "AGGREGATE, as it begins": while_in(Phase.AGGREGATE),
    "AGGREGATE, before the work is ordered": before(lambda node: is_work(Aggregate)),
    "AGGREGATE, before the vote is journaled": before(lambda node: is_journal_of(AggregateDuty)),
    "AGGREGATE, between the journal and the vote": before(lambda node: says(node, AggregateVote)),
    "AGGREGATE, after the vote": after(lambda node: says(node, AggregateVote)),
}  # fmt: skip


def play(moment: Moment, restart_ms: int) -> tuple[World, Recorder, SimNode]:
    """A world in which the victim crashes at the moment, until its first round is over and the chain has gone on."""
    plan = replace(build_calm_plan(ROUND_MS), restart_ms=restart_ms)
    world = build_world(SEED, GENESIS, plan)
    recorder, victim = watch(world), world.nodes[VICTIM]
    world.plan_crash_before(victim, moment(world, victim))
    world.start()

    def is_over() -> bool:
        record = find_first_round(world)
        return record is not None and record.ended > 0 and victim.is_up

    assert world.advance_until(is_over, ROUND_MS), "the round does not end"
    return world, recorder, victim


def require_one_word(recorder: Recorder, victim: SimNode) -> None:
    """Over all its lives the member signed one commit, one reveal and one aggregate vote in the round at most."""
    for kind in (ScoreCommit, ScoreReveal, AggregateVote):
        assert len({repr(word) for _, word in recorder.get_words(victim, kind)}) <= 1


@pytest.mark.parametrize("name", MOMENTS)
def test_a_member_killed_at_any_point_of_a_round_does_its_part_after_the_restart(name: str) -> None:
    world, recorder, victim = play(MOMENTS[name], restart_ms=100)
    record = find_first_round(world)
    assert record is not None
    assert world.marks["crash"] == 1
    assert victim.life > 1
    assert record.phase is Phase.ADVANCED
    assert victim.account in [commit.voter for commit in record.commits]
    assert victim.account in [reveal.voter for reveal in record.reveals]
    require_one_word(recorder, victim)
    assert world.finish().violations == ()


@pytest.mark.parametrize("name", MOMENTS)
def test_the_round_completes_without_a_member_that_stays_away_and_it_signs_nothing_twice(name: str) -> None:
    world, recorder, victim = play(MOMENTS[name], restart_ms=5_000)
    record = find_first_round(world)
    assert record is not None
    assert world.marks["crash"] == 1
    assert record.phase is Phase.ADVANCED
    require_one_word(recorder, victim)
    assert world.finish().violations == ()


@pytest.mark.parametrize("is_journal_lost", [False, True])
def test_a_member_commits_to_the_same_again_and_without_its_journal_the_checker_sees_that_it_does_not(
    is_journal_lost: bool,
) -> None:
    """Its first commit is lost on the wire, and after the restart its evaluator says something else."""
    world = build_world(SEED, GENESIS, replace(build_calm_plan(ROUND_MS), restart_ms=400))
    recorder, victim = watch(world), world.nodes[VICTIM]
    is_commit, is_after = says(victim, ScoreCommit), after(lambda node: says(node, ScoreCommit))(world, victim)

    def is_crash(effect: out.ReplicaEffect) -> bool:
        if is_commit(effect):
            world.network.faults = NetworkFaults(loss_permille=1_000)
        return is_after(effect)

    world.plan_crash_before(victim, is_crash)
    world.start()
    assert world.advance_until(lambda: world.marks.get("crash", 0) == 1, ROUND_MS)
    world.network.heal()
    world.evaluators.faults = replace(world.evaluators.faults, liar=VICTIM)
    if is_journal_lost:
        victim.folder.disk.remove(DUTIES_NAME)
    assert world.advance_until(lambda: len(recorder.get_words(victim, ScoreCommit)) > 1, ROUND_MS)
    broken = {violation.promise for violation in world.violations}
    assert broken == ({"one word"} if is_journal_lost else set())
