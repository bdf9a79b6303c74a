"""Rounds from their first block to their last: phases, deadlines, draws, voids (V5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from flockchain.primitives.learning import Phase, ReasonCode, UpdateStatus
from flockchain.primitives.limits import DUE_TASKS_PER_BLOCK_MAX
from flockchain.primitives.numbers import Height
from flockchain.primitives.rounds import TaskStatus, VoidReason
from flockchain.runtime import learning_views
from flockchain.runtime.rounds import RoundClock
from flockchain.storage.memory_store import MemoryStore
from tests.kit.learning import LearningChain, build_update
from tests.kit.runtime_chain import FLOCK

GOOD = (1_500, 2_500, 3_500)
ABSTAIN = (UpdateStatus.ABSTAIN,) * 3
EVERYONE = range(4)


def run_round(world: LearningChain, *votes: tuple[int | UpdateStatus, ...]) -> None:
    """A whole round that advances."""
    world.submit_all()
    world.judge(*(votes or (GOOD,)))
    world.advance(world.build_certificate(EVERYONE))


def get_absent_losses(world: LearningChain) -> dict[bytes, int]:
    return {event.member: event.lost for event in world.chain.find_events("MemberAbsent")}


def test_a_complete_round_takes_no_more_blocks_than_it_needs() -> None:
    world = LearningChain.start()
    world.submit_all()  # blocks 2 to 4
    assert world.round.closed == 4
    world.chain.advance()
    assert (world.round.phase, world.round.phase_opened) == (Phase.COMMIT, 5)
    world.advance(*[world.build_commit(member, GOOD) for member in EVERYONE])
    assert world.round.closed == 6
    world.chain.advance()
    assert (world.round.phase, world.round.phase_opened) == (Phase.REVEAL, 7)
    world.reveal_all(GOOD)
    assert (world.round.phase, world.round.phase_opened) == (Phase.AGGREGATE, 8)
    world.advance(world.build_certificate(EVERYONE))
    assert (world.get_round(0).phase, world.get_round(0).ended, world.record.round) == (Phase.ADVANCED, 9, 1)
    assert (world.round.phase, world.round.opened) == (Phase.SUBMIT, 9)


def test_all_rounds_advance_and_the_lineage_tells_them_in_order() -> None:
    world = LearningChain.start()
    for _ in range(3):
        run_round(world)
    lineage = learning_views.get_lineage(world.chain.store, world.task)
    assert [entry.round for entry in lineage] == [0, 1, 2]
    assert len({entry.aggregate for entry in lineage}) == 3
    assert all(entry.updates == 3 and entry.signed_stake == entry.committee_stake for entry in lineage)
    assert world.get_round(1).certified == lineage[1]
    assert (world.record.status, world.record.rounds_advanced) == (TaskStatus.FINISHED, 3)
    assert learning_views.get_seats(world.chain.store, world.get_round(2).committee[0].account) == ()


def test_phases_wait_for_their_deadline_while_someone_is_missing() -> None:
    world = LearningChain.start()
    world.submit_all()
    world.commit_all(GOOD, members=range(3))
    record = world.round
    assert record.phase_opened == 5 + 6 + 1
    world.reveal_all(GOOD, members=range(2))
    assert world.round.phase is Phase.REVEAL
    world.reveal_all(GOOD, members=[2])
    assert world.round.phase is Phase.AGGREGATE
    assert world.chain.height == record.phase_opened + 2


def test_the_draw_uses_randomness_that_came_after_the_close() -> None:
    """Two chains that are equal up to the close, and differ in the next proposer only, draw differently."""
    seeds, rows = set(), set()
    for proposer in (0, 1):
        world = LearningChain.start()
        world.submit_all()
        assert world.round.closed == world.chain.height
        assert world.round.seed == bytes(32)
        world.chain.advance(proposer=proposer)
        seeds.add(world.round.seed)
        rows.add(learning_views.get_prompt_rows(world.chain.store, world.task, world.round.round))
    assert len(seeds) == len(rows) == 2


def test_audit_rows_are_drawn_after_the_commits_are_closed() -> None:
    world = LearningChain.start()
    world.submit_all()
    world.advance_to(Phase.COMMIT)
    world.advance(*[world.build_commit(member, GOOD) for member in EVERYONE])
    assert world.round.closed == world.chain.height
    assert world.round.audit_positions == ()
    positions = set()
    for proposer in (0, 1):
        block = world.chain.build(proposer=proposer)
        other = LearningChain(replace(world.chain, store=_copy(world.chain.store)), world.task, world.spec)
        other.chain.apply(block)
        assert len(other.round.audit_positions) == 3
        positions.add(other.round.audit_positions)
    assert len(positions) == 2


def _copy(store: MemoryStore) -> MemoryStore:
    copied = MemoryStore()
    copied.write(dict(store.scan(b"")), sync=False)
    return copied


def test_prompts_are_not_drawn_again_until_the_suite_is_used_up() -> None:
    world = LearningChain.start(suite_rows=45, rounds=4)
    drawn = []
    for _ in range(4):
        run_round(world)
        number = type(world.round.round)(len(drawn))
        drawn.append(set(learning_views.get_prompt_rows(world.chain.store, world.task, number)))
    assert all(len(rows) == 20 for rows in drawn)
    assert not drawn[0] & drawn[1]
    assert drawn[2] & (drawn[0] | drawn[1]), "the third draw does not fit the suite and starts a new pass"
    assert not drawn[2] & drawn[3]


def test_no_commits_void_the_round_at_the_deadline_and_everyone_absent_loses() -> None:
    world = LearningChain.start()
    world.submit_all()
    balances = [world.chain.get_balance(f"account-{number}") for number in range(3)]
    world.advance_to(Phase.COMMIT)
    deadline = world.round.deadline
    while world.record.round == 0:
        world.chain.advance()
    ended = world.get_round(0)
    assert (ended.void_reason, ended.ended) == (VoidReason.NO_COMMIT_QUORUM, deadline)
    losses = get_absent_losses(world)
    assert sorted(losses) == [member.account for member in ended.committee]
    for member in ended.committee:  # a thousandth of the stake, on which block rewards were earned since the draw
        assert 0 <= losses[member.account] - member.stake // 1_000 < FLOCK
    after = [world.chain.get_balance(f"account-{number}") for number in range(3)]
    assert [new - old for new, old in zip(after, balances, strict=True)] == [200 * FLOCK] * 3
    assert world.record.pool_left == 900 * FLOCK


@pytest.mark.parametrize("committed", [(0, 1), (2,)])
def test_commits_without_quorum_void_the_round(committed: Iterable[int]) -> None:
    world = LearningChain.start()
    world.submit_all()
    world.advance_to(Phase.COMMIT)
    world.advance(*[world.build_commit(member, GOOD) for member in committed])
    while world.record.round == 0:
        world.chain.advance()
    ended = world.get_round(0)
    assert (ended.void_reason, len(ended.commits)) == (VoidReason.NO_COMMIT_QUORUM, len(tuple(committed)))
    assert len(get_absent_losses(world)) == 4 - len(tuple(committed))


def test_reveals_without_quorum_void_the_round_and_only_the_silent_lose() -> None:
    world = LearningChain.start()
    world.submit_all()
    world.commit_all(GOOD)
    world.reveal_all(GOOD, members=(0, 2))
    while world.record.round == 0:
        world.chain.advance()
    ended = world.get_round(0)
    assert (ended.void_reason, ended.verdicts, ended.certified) == (VoidReason.NO_REVEAL_QUORUM, (), None)
    assert sorted(get_absent_losses(world)) == [ended.committee[1].account, ended.committee[3].account]
    assert world.get_reputation(ended.updates[0].trainer) == 0


def test_one_silent_member_of_four_does_not_stop_a_round() -> None:
    world = LearningChain.start()
    world.submit_all()
    world.commit_all(GOOD, members=(0, 1, 3))
    world.reveal_all(GOOD, members=(0, 1, 3))
    assert list(get_absent_losses(world)) == [world.round.committee[2].account]
    assert [verdict.reason for verdict in world.round.verdicts] == [ReasonCode.ACCEPTED] * 3
    world.advance(world.build_certificate((0, 1, 3)))
    assert world.get_round(0).phase is Phase.ADVANCED
    certified = world.get_round(0).certified
    assert certified is not None
    assert 4 * certified.signed_stake == 3 * certified.committee_stake


def test_when_every_evaluator_abstains_the_round_is_void_and_nobody_loses() -> None:
    world = LearningChain.start()
    world.submit_all()
    world.judge(ABSTAIN)
    ended = world.get_round(0)
    assert (ended.phase, ended.void_reason) == (Phase.VOID, VoidReason.NONE_ACCEPTED)
    assert [verdict.reason for verdict in ended.verdicts] == [ReasonCode.NO_SCORE] * 3
    assert get_absent_losses(world) == {}
    assert world.chain.find_events("MemberPaid") == []
    assert [event.returned for event in world.chain.find_events("BondReturned")] == [200 * FLOCK] * 3


def test_without_a_certificate_the_model_stays_and_the_round_is_void() -> None:
    world = LearningChain.start()
    world.submit_all()
    world.judge(GOOD)
    deadline = world.round.deadline
    while world.record.round == 0:
        world.chain.advance()
    ended = world.get_round(0)
    assert (ended.void_reason, ended.ended) == (VoidReason.NO_CERTIFICATE, deadline)
    assert learning_views.get_lineage(world.chain.store, world.task) == ()
    assert [event.returned for event in world.chain.find_events("BondReturned")] == [200 * FLOCK] * 3
    run_round(world)
    assert [entry.round for entry in learning_views.get_lineage(world.chain.store, world.task)] == [1]


def test_rejected_updates_are_left_out_and_their_bonds_return() -> None:
    world = LearningChain.start()
    run_round(world, (1_000, -90_000, 2_000))
    ended = world.get_round(0)
    assert [verdict.reason for verdict in ended.verdicts] == [
        ReasonCode.ACCEPTED, ReasonCode.LOW_REPUTATION, ReasonCode.ACCEPTED
    ]  # fmt: skip
    assert ended.certified is not None
    assert ended.certified.updates == 2
    assert world.get_reputation(ended.updates[1].trainer) == -90_000
    returned = {event.trainer: event.returned for event in world.chain.find_events("BondReturned")}
    assert returned[ended.updates[1].trainer] == 200 * FLOCK


def test_reputation_lives_from_round_to_round_of_a_task() -> None:
    world = LearningChain.start()
    run_round(world, (1_000, -50_000, 2_000))
    run_round(world, (1_000, -50_000, 2_000))
    trainer = world.get_round(0).updates[1].trainer
    assert world.get_reputation(trainer) == -40_000 - 50_000
    assert world.get_round(1).verdicts[1].reason is ReasonCode.LOW_REPUTATION


def test_the_committee_is_of_the_drawn_size() -> None:
    world = LearningChain.start(committee_size=3)
    world.submit_all()
    world.advance_to(Phase.COMMIT)
    committee = world.round.committee
    assert len(committee) == 3
    for member in committee:
        assert learning_views.get_seats(world.chain.store, member.account) == ((world.task, 0),)
    accounts = {member.account for member in committee}
    outsider = next(account for account in world.chain.secrets if account not in accounts)
    assert learning_views.get_seats(world.chain.store, outsider) == ()


def test_many_tasks_run_side_by_side() -> None:
    first = LearningChain.start()
    second = LearningChain(first.chain, type(first.task)(1), first.spec, first.blobs)
    arguments = first.chain.find_call("tasks.create")[1].arguments.cls(first.spec)
    assert first.chain.call("account-7", "tasks.create", arguments) == ""
    for number in range(2):
        for world in (first, second):
            assert world.submit(f"account-{number}", build_update(world.spec.adapter, number)) == ""
    first.advance_to(Phase.COMMIT)
    second.advance_to(Phase.COMMIT)
    assert first.round.seed != second.round.seed
    assert {seat[0] for seat in learning_views.get_seats(first.chain.store, first.round.committee[0].account)} == {0, 1}


def test_a_round_that_waits_for_the_next_block_says_so() -> None:
    world = LearningChain.start()
    assert not learning_views.is_round_due(world.chain.store, type(world.chain.height)(world.chain.height + 1))
    world.submit_all()
    assert learning_views.is_round_due(world.chain.store, type(world.chain.height)(world.chain.height + 1))


def test_more_tasks_than_a_block_moves_wait_for_the_next() -> None:
    world = LearningChain.start()
    create = world.chain.find_call("tasks.create")[1].arguments.cls(world.spec)
    nonce = world.chain.get_nonce("faucet")
    count = DUE_TASKS_PER_BLOCK_MAX + 2
    raws = [world.chain.sign("faucet", "tasks.create", create, nonce=nonce + at) for at in range(count)]
    assert all(receipt.is_success for receipt in world.chain.advance(*raws).receipts)
    assert len(learning_views.get_open_tasks(world.chain.store)) == count + 1
    last = LearningChain(world.chain, type(world.task)(count), world.spec)
    world.chain.advance()
    assert last.round.opened == world.chain.height, "the last ones open one block later"


def test_a_clock_takes_items_of_its_phase_up_to_its_deadline() -> None:
    clock = RoundClock(Phase.SUBMIT, VoidReason.NONE, Height(1), Height(1), Height(7), Height(0), Height(0))
    assert clock.is_taking(Phase.SUBMIT, Height(7))
    assert not clock.is_taking(Phase.SUBMIT, Height(8))
    assert not clock.is_taking(Phase.COMMIT, Height(7))
    assert not replace(clock, closed=Height(6)).is_taking(Phase.SUBMIT, Height(7))
