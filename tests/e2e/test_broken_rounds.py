"""Rounds on real processes when validators are killed in them, and when every evaluator is gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flockchain.primitives.learning import Phase, ScoreCommit
from flockchain.primitives.numbers import AccountId
from flockchain.primitives.rounds import RoundRecord
from tests.e2e.learning_network import BOND, LearningNetwork, run_learning_network

pytestmark = pytest.mark.e2e

QUICK_MS = 100
SLOW_MS = 2_500
SLOW = "validator-2"  # its evaluator keeps COMMIT open
KILLED_IN_COMMIT = "validator-1"
KILLED_IN_AGGREGATE = "validator-3"
PHASE_BLOCKS = 120  # time enough for a restart


@pytest.fixture(scope="module")
def learning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LearningNetwork]:
    """One network for all tests of this module; each leaves its nodes and evaluators running."""
    with run_learning_network(
        tmp_path_factory.mktemp("learning") / "net", evaluator_ms=QUICK_MS, phase_blocks=PHASE_BLOCKS
    ) as started:
        yield started


def test_a_member_killed_with_9_in_commit_opens_its_commit_after_the_restart(learning: LearningNetwork) -> None:
    network, victim = learning.network, get_account(learning, KILLED_IN_COMMIT)
    learning.kill_evaluator(SLOW)
    learning.start_evaluator(SLOW, SLOW_MS)
    learning.train_until(lambda: has_committed_in_open_phase(learning, victim), f"{KILLED_IN_COMMIT} has committed")
    network.kill(KILLED_IN_COMMIT)
    number = get_current(learning).round
    assert learning.is_in(number, Phase.COMMIT)
    network.start(KILLED_IN_COMMIT)
    record = wait_for_end(learning, number)
    assert record.phase is Phase.ADVANCED
    assert victim in {reveal.voter for reveal in record.reveals}
    require_one_commit_each(learning, record)
    learning.kill_evaluator(SLOW)
    learning.start_evaluator(SLOW, QUICK_MS)


def test_a_round_completes_though_a_member_is_killed_with_9_in_aggregate(learning: LearningNetwork) -> None:
    network, victim = learning.network, get_account(learning, KILLED_IN_AGGREGATE)
    killed: list[RoundRecord] = []

    def kill_at_once() -> bool:
        record = get_current(learning)
        if record.phase is Phase.AGGREGATE:
            network.kill(KILLED_IN_AGGREGATE)
            killed.append(record)
        return bool(killed)

    learning.train_until(kill_at_once, "a round is in AGGREGATE")
    network.start(KILLED_IN_AGGREGATE)
    record = wait_for_end(learning, killed[0].round)
    assert record.phase is Phase.ADVANCED
    require_one_commit_each(learning, record)
    learning.train_until(lambda: has_judged_since(learning, victim, record.round), "it judges again")


def test_without_evaluators_blocks_go_on_the_round_is_void_and_bonds_are_back(learning: LearningNetwork) -> None:
    network = learning.network
    wait_for_end(learning, get_current(learning).round)
    for name in network.nodes:
        learning.kill_evaluator(name)
    learning.train_until(lambda: len(get_current(learning).updates) == len(learning.trainers), "a round has updates")
    number, bonded, height = get_current(learning).round, learning.get_balances(), network.get_height("validator-0")
    assert learning.get_round(number).phase < Phase.ADVANCED
    network.wait_until(lambda: learning.get_round(number).ended > 0, "the round ends", 60)
    record = learning.get_round(number)
    assert record.phase is Phase.VOID
    assert record.certified is None
    assert learning.get_balances() == tuple(balance + BOND for balance in bonded)
    assert record.ended > height + PHASE_BLOCKS // 2
    network.wait_for_height(record.ended + 5)
    for name in network.nodes:
        learning.start_evaluator(name, QUICK_MS)
    learning.train_until(lambda: has_advanced_since(learning, number), "a round advances again")


def get_account(learning: LearningNetwork, name: str) -> AccountId:
    return learning.network.nodes[name].secrets.account


def get_current(learning: LearningNetwork) -> RoundRecord:
    record = learning.get_round()
    assert record is not None
    return record


def has_committed_in_open_phase(learning: LearningNetwork, member: AccountId) -> bool:
    record = get_current(learning)
    is_open = record.phase is Phase.COMMIT and not record.closed
    return is_open and member in {commit.voter for commit in record.commits}


def has_judged_since(learning: LearningNetwork, member: AccountId, since: int) -> bool:
    record = get_current(learning)
    return record.round > since and member in {reveal.voter for reveal in record.reveals}


def has_advanced_since(learning: LearningNetwork, since: int) -> bool:
    ended = learning.get_round(get_current(learning).round - 1)
    return ended is not None and ended.round > since and ended.phase is Phase.ADVANCED


def wait_for_end(learning: LearningNetwork, number: int) -> RoundRecord:
    """The record of a round that has ended; trainers go on meanwhile."""

    def has_ended() -> bool:
        record = learning.get_round(number)
        return record is not None and record.ended > 0

    learning.train_until(has_ended, f"round {number} has ended")
    record = learning.get_round(number)
    assert record is not None
    return record


def require_one_commit_each(learning: LearningNetwork, record: RoundRecord) -> None:
    """No voter has two commits in the round's blocks, and nobody was accused of one."""
    blocks = learning.get_blocks(record.opened, record.ended)
    commits = [item for block in blocks for item in block.learning if isinstance(item, ScoreCommit)]
    own = [commit for commit in commits if (commit.task, commit.round) == (record.task, record.round)]
    voters = [commit.voter for commit in own]
    assert sorted(voters) == sorted(commit.voter for commit in record.commits)
    assert len(set(voters)) == len(voters)
    assert all(block.evidence == () for block in blocks)
