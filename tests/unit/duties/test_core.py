"""Members at work: whole rounds by four duty cores, with evaluators and machines that fail at every point."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.crypto.hashing import sha256
from flockchain.duties import (
    Aggregate,
    Evaluate,
    EvaluateDone,
    EvaluateFailed,
    EvaluateOrder,
    FetchBlob,
    JournalDuty,
    SubmitAggregateVote,
    SubmitItem,
)
from flockchain.primitives.learning import AdapterMode, Phase, ReasonCode, ScoreCommit, ScoreReveal, UpdateStatus
from flockchain.primitives.rounds import VoidReason
from flockchain.runtime import learning_views
from tests.kit.duty_hosts import DutyHost, DutyWorld, score_all
from tests.kit.learning import build_adapter, build_update

LONG = {"commit_blocks": 16, "reveal_blocks": 8, "aggregate_blocks": 8}


def fail(order: EvaluateOrder, findings: tuple[Any, ...]) -> EvaluateFailed:
    return EvaluateFailed(order.task, order.round, findings)


def hang(order: EvaluateOrder, findings: tuple[Any, ...]) -> None:
    return None


def talk_nonsense(order: EvaluateOrder, findings: tuple[Any, ...]) -> EvaluateDone:
    return EvaluateDone(order.task, order.round, findings, (float("nan"),) * len(findings), ())  # type: ignore[arg-type]


def require_one_word_each(world: DutyWorld) -> None:
    """Nobody ever signed two commits or two aggregates for a round."""
    said: dict[Any, set[Any]] = defaultdict(set)
    for item in world.items:
        if isinstance(item, ScoreCommit):
            said[("commit", item.voter, item.task, item.round)].add(item.commitment)
    for vote in world.votes:
        said[("aggregate", vote.voter, vote.task, vote.round)].add((vote.aggregate, vote.results_root))
    assert all(len(words) == 1 for words in said.values())


def count_orders(host: DutyHost, kind: type) -> int:
    return sum(isinstance(order, kind) for order in host.orders)


def test_three_rounds_advance_with_nothing_but_the_cores() -> None:
    world = DutyWorld.start(**LONG)
    for number in range(3):
        world.learning.submit_all()
        ended = world.run_round()
        assert (ended.round, ended.phase) == (number, Phase.ADVANCED)
        assert len(ended.reveals) == 4
        assert [verdict.median_score for verdict in ended.verdicts] == [1_500] * 3
    assert len(learning_views.get_lineage(world.learning.chain.store, world.learning.task)) == 3
    require_one_word_each(world)


def test_a_stack_task_needs_every_aggregate_of_its_lineage() -> None:
    world = DutyWorld.start(adapter=build_adapter(AdapterMode.STACK), max_update_bytes=10_000, **LONG)
    for _ in range(2):
        world.learning.submit_all()
        assert world.run_round().phase is Phase.ADVANCED
    world.learning.submit_all()
    assert world.run_round().phase is Phase.ADVANCED
    orders = [order.order for order in world.hosts[0].orders if isinstance(order, Evaluate)]
    assert [len(order.lineage) for order in orders] == [0, 1, 2]
    aggregates = [order.order for order in world.hosts[0].orders if isinstance(order, Aggregate)]
    assert all(order.previous is None for order in aggregates)


def test_effects_come_in_the_order_of_a_round_and_the_journal_before_what_it_covers() -> None:
    world = DutyWorld.start(**LONG)
    world.learning.submit_all()
    world.run_round()
    for host in world.hosts:
        kinds = [type(order) for order in host.orders if not isinstance(order, FetchBlob)]
        assert kinds == [
            Evaluate, JournalDuty, SubmitItem, SubmitItem, Aggregate, JournalDuty, SubmitAggregateVote
        ]  # fmt: skip


def test_updates_are_fetched_while_the_set_is_still_open() -> None:
    world = DutyWorld.start()
    assert world.learning.submit("account-0", build_update(world.learning.spec.adapter, 1)) == ""
    world.step()
    assert world.learning.round.phase is Phase.SUBMIT
    fetched = {order.root for order in world.hosts[0].orders if isinstance(order, FetchBlob)}
    assert fetched == {world.learning.round.updates[0].blob, world.learning.spec.suite_blob}


def test_a_blob_that_nobody_has_is_asked_for_again_and_then_called_unavailable() -> None:
    world = DutyWorld.start(**LONG)
    world.learning.submit_all()
    missing = world.learning.blobs.pop(world.learning.round.updates[1].blob)
    ended = world.run_round()
    assert [verdict.reason for verdict in ended.verdicts] == [
        ReasonCode.ACCEPTED, ReasonCode.UNAVAILABLE, ReasonCode.ACCEPTED
    ]  # fmt: skip
    asked = [order for order in world.hosts[0].orders if isinstance(order, FetchBlob)]
    assert sum(order.root == ended.updates[1].blob for order in asked) > 2
    assert len(missing) == ended.updates[1].size_bytes


def test_malformed_and_copied_updates_never_reach_an_evaluator() -> None:
    seen: list[tuple[Any, ...]] = []

    def watch(order: EvaluateOrder, findings: tuple[Any, ...]) -> EvaluateDone:
        seen.append(findings)
        return score_all(order, findings)

    world = DutyWorld.start(max_updates=4, **LONG)
    for host in world.hosts:
        host.evaluator = watch
    good = build_update(world.learning.spec.adapter, 1)
    for trainer, data in enumerate((good, good[:-1], b"\x80\x04pickle", build_update(world.learning.spec.adapter, 2))):
        assert world.learning.submit(f"account-{trainer}", data) == ""
    ended = world.run_round()
    bad = UpdateStatus.MALFORMED
    assert seen == [(None, bad, bad, None)] * 4
    assert [verdict.reason for verdict in ended.verdicts] == [
        ReasonCode.ACCEPTED, ReasonCode.MALFORMED, ReasonCode.MALFORMED, ReasonCode.ACCEPTED
    ]  # fmt: skip
    assert ended.phase is Phase.ADVANCED


@pytest.mark.parametrize("broken", [fail, hang, talk_nonsense])
def test_one_broken_evaluator_abstains_and_the_round_completes(broken: Any) -> None:
    world = DutyWorld.start(**LONG)
    world.hosts[2].evaluator = broken
    world.learning.submit_all()
    ended = world.run_round()
    assert ended.phase is Phase.ADVANCED
    votes = {reveal.voter: reveal.vote for reveal in ended.reveals}
    entries = votes[world.hosts[2].account].entries
    assert [entry.status for entry in entries] == [UpdateStatus.ABSTAIN] * 3
    require_one_word_each(world)


@pytest.mark.parametrize("broken", [fail, hang, talk_nonsense])
def test_when_every_evaluator_is_broken_the_round_is_void_and_nobody_is_punished(broken: Any) -> None:
    world = DutyWorld.start(**LONG)
    for host in world.hosts:
        host.evaluator = broken
    world.learning.submit_all()
    ended = world.run_round()
    assert ended.void_reason is VoidReason.NONE_ACCEPTED
    assert len(ended.reveals) == 4
    assert [event.burned for event in world.learning.chain.find_events("BondReturned")] == [0, 0, 0]


def test_findings_survive_an_evaluator_that_fails() -> None:
    world = DutyWorld.start(**LONG)
    for host in world.hosts:
        host.evaluator = fail
    for trainer, data in enumerate((b"noise", build_update(world.learning.spec.adapter, 1), b"more noise")):
        assert world.learning.submit(f"account-{trainer}", data) == ""
    ended = world.run_round()
    assert [verdict.reason for verdict in ended.verdicts] == [
        ReasonCode.MALFORMED, ReasonCode.NO_SCORE, ReasonCode.MALFORMED
    ]  # fmt: skip


def test_an_evaluator_that_comes_back_in_time_is_asked_again() -> None:
    world = DutyWorld.start(**LONG)
    answers = iter([fail, talk_nonsense, score_all])
    world.hosts[1].evaluator = lambda order, findings: next(answers)(order, findings)
    world.learning.submit_all()
    ended = world.run_round()
    vote = next(reveal.vote for reveal in ended.reveals if reveal.voter == world.hosts[1].account)
    assert [entry.status for entry in vote.entries] == [UpdateStatus.SCORED] * 3
    assert count_orders(world.hosts[1], Evaluate) == 3


def test_an_answer_that_comes_after_the_abstention_is_ignored() -> None:
    world = DutyWorld.start(**LONG)
    late: list[EvaluateDone] = []

    def be_late(order: EvaluateOrder, findings: tuple[Any, ...]) -> None:
        late.append(score_all(order, findings))

    host = world.hosts[0]
    host.evaluator = be_late
    world.learning.submit_all()
    while not host.journal:
        world.step()
    assert host.core.on_work_done(late[0]) == []
    assert world.run_round().phase is Phase.ADVANCED
    assert host.core.on_work_done(late[0]) == []
    require_one_word_each(world)


def test_what_the_state_does_not_show_is_sent_again() -> None:
    world = DutyWorld.start(**LONG)
    world.learning.submit_all()
    host = world.hosts[0]
    while not host.journal:
        world.step()
    for _ in range(9):  # blocks by leaders that leave our items out
        world.items.clear()
        world.step()
    sent = [order.item for order in host.orders if isinstance(order, SubmitItem)]
    assert len(sent) == 3
    assert len(set(sent)) == 1


def test_a_member_with_other_keys_than_the_committee_names_signs_nothing() -> None:
    world = DutyWorld.start(**LONG)
    host = world.hosts[0]
    world.learning.chain.secrets[host.account] = type(world.learning.chain.secrets[host.account])(
        **{
            name: sha256(b"new") if name == "score_seed" else getattr(world.learning.chain.secrets[host.account], name)
            for name in ("account_seed", "node_seed", "score_seed", "consensus_secret", "certificate_secret")
        }
    )
    host.restart()
    world.learning.submit_all()
    assert world.run_round().phase is Phase.ADVANCED
    assert host.journal == []


def test_without_its_journal_a_member_that_has_committed_signs_nothing_more() -> None:
    world = DutyWorld.start(**LONG)
    world.hosts[3].is_down = True  # so that COMMIT stays open
    world.learning.submit_all()
    while len(world.learning.round.commits) < 3:
        world.step()
    host = world.hosts[0]
    host.journal.clear()
    host.orders.clear()
    host.evaluator = lambda order, findings: EvaluateDone(order.task, order.round, findings, (9, 9, 9), (1,) * 20)
    host.restart()
    assert world.learning.round.phase is Phase.COMMIT
    ended = world.run_round()
    assert [reveal.voter for reveal in ended.reveals] == [world.hosts[1].account, world.hosts[2].account]
    assert not [order for order in host.orders if isinstance(order, Evaluate | SubmitItem | JournalDuty)]
    require_one_word_each(world)


def test_memory_and_journal_do_not_grow_with_rounds() -> None:
    world = DutyWorld.start(**LONG)
    for _ in range(2):
        world.learning.submit_all()
        world.run_round()
    world.step()
    assert world.hosts[0].core.get_records() == []
    assert len(world.hosts[0].journal) == 4


def test_a_member_killed_while_updates_come_in_serves_the_round() -> None:
    world = DutyWorld.start(**LONG)
    for number in range(3):
        assert world.learning.submit(f"account-{number}", build_update(world.learning.spec.adapter, number)) == ""
        world.hosts[3].restart()
        for host in world.hosts:
            host.on_finalized()
    ended = world.run_round()
    assert (ended.phase, len(ended.reveals)) == (Phase.ADVANCED, 4)


@pytest.mark.parametrize(
    ("phase", "is_closed"),
    [
        (Phase.SUBMIT, True),
        (Phase.COMMIT, False),
        (Phase.COMMIT, True),
        (Phase.REVEAL, False),
        (Phase.AGGREGATE, False),
    ],
)
def test_a_member_killed_in_any_phase_resumes_and_the_round_completes(phase: Phase, is_closed: bool) -> None:
    world = DutyWorld.start(**LONG)
    host, kills = world.hosts[3], 0
    world.learning.submit_all()
    while not world.learning.get_round(0).ended:
        record = world.learning.round
        if record.phase is phase and bool(record.closed) is is_closed:
            host.is_down = True
            kills += 1
        world.step()
        if host.is_down:
            host.restart()
            host.on_finalized()
    assert kills
    assert world.learning.get_round(0).phase is Phase.ADVANCED
    assert len(world.learning.get_round(0).reveals) == 4
    require_one_word_each(world)


@pytest.mark.parametrize("which", [0, 1], ids=["commit", "aggregate"])
def test_killed_between_the_journal_and_the_network_a_member_says_the_same_after_it(which: int) -> None:
    world = DutyWorld.start(**LONG)
    host = world.hosts[0]

    def kill(victim: DutyHost) -> None:
        if victim is host and len(victim.journal) == which + 1:
            victim.is_down = True

    world.on_journaled = kill
    world.learning.submit_all()
    while not host.is_down:
        world.step()
    host.evaluator = lambda order, findings: EvaluateDone(order.task, order.round, findings, (9, 9, 9), (1,) * 20)
    host.restart()
    ended = world.run_round()
    assert ended.phase is Phase.ADVANCED
    assert len(ended.reveals) == 4
    vote = next(reveal.vote for reveal in ended.reveals if reveal.voter == host.account)
    assert [entry.score for entry in vote.entries] == [1_500] * 3
    require_one_word_each(world)


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_whatever_fails_nobody_contradicts_itself_and_rounds_end(data: st.DataObject) -> None:
    """Kills at random moments, lost items, evaluators that come and go; every block is checked by the chain kit."""
    world = DutyWorld.start(rounds=2, **LONG)
    behaviours = [score_all, score_all, fail, hang, talk_nonsense]
    for _ in range(2):
        number = world.learning.record.round
        world.learning.submit_all(data.draw(st.integers(0, 3)))
        for host in world.hosts:
            host.evaluator = data.draw(st.sampled_from(behaviours))
        for _ in range(60):
            if world.learning.get_round(number).ended:
                break
            victim = world.hosts[data.draw(st.integers(0, 3))] if data.draw(st.booleans()) else None
            world.on_journaled = lambda host, victim=victim: setattr(host, "is_down", host is victim or host.is_down)
            world.step()
            for host in world.hosts:
                if host.is_down:
                    host.restart()
        assert world.learning.get_round(number).ended
    require_one_word_each(world)


def test_reveals_open_the_drawn_rows_of_the_evidence() -> None:
    world = DutyWorld.start(**LONG)
    world.learning.submit_all()
    ended = world.run_round()
    reveals = [item for item in world.items if isinstance(item, ScoreReveal)]
    assert {tuple(row.position for row in reveal.audit) for reveal in reveals} == {ended.audit_positions}
