"""Rounds whose evaluators or trainers do not do their part: they end, bonds return, and blocks go on."""

from __future__ import annotations

from dataclasses import replace

from flockchain.crypto import ed25519
from flockchain.primitives.codec import BOOL, HASH, U64, U128
from flockchain.primitives.learning import Phase, ReasonCode
from flockchain.primitives.rounds import RoundRecord, VoidReason
from flockchain.sim.checkers.block_events import EventKind, iterate_events
from flockchain.sim.evaluators import EvaluatorDeath, EvaluatorFaults
from flockchain.sim.plan import FaultPlan, build_calm_plan
from flockchain.sim.sim_genesis import USER_BALANCE
from flockchain.sim.trainers import TrainerFaults
from flockchain.sim.world import World, build_world
from tests.kit.sim_worlds import GENESIS, Recorder, find_first_round, watch

SEED = 5
ROUND_MS = 60_000
ALWAYS_MS = 10**9
APPLIED: EventKind = (0, 0)
TRANSFERRED: EventKind = (1, 0)


def play(plan: FaultPlan) -> tuple[World, Recorder, RoundRecord]:
    """A world until its first round is over."""
    world = build_world(SEED, GENESIS, plan)
    recorder = watch(world)
    world.start()
    assert world.advance_until(lambda: is_over(find_first_round(world)), ROUND_MS), "the round does not end"
    record = find_first_round(world)
    assert record is not None
    return world, recorder, record


def is_over(record: RoundRecord | None) -> bool:
    return record is not None and record.ended > 0


def compute_balance(recorder: Recorder, account: bytes, height: int) -> int:
    """What an account should have after a block if it paid fees and transfers and nothing else."""
    balance = USER_BALANCE
    for executed, _ in recorder.blocks[:height]:
        for kind, reader in iterate_events(executed, APPLIED, TRANSFERRED):
            if kind == APPLIED:
                sender, _, fee, _ = HASH.read(reader), U64.read(reader), U128.read(reader), BOOL.read(reader)
                balance -= fee if sender == account else 0
            else:
                source, target, amount = HASH.read(reader), HASH.read(reader), U128.read(reader)
                balance += (target == account) * amount - (source == account) * amount
    return balance


def get_balance(recorder: Recorder, account: bytes, height: int) -> int:
    executed, state = recorder.blocks[height - 1]
    assert executed.header.height == height
    return U128.decode(state[b"balances/free/" + account])


def get_trainers(world: World) -> list[bytes]:
    """Those that only train: the first user pays for the task and is paid the transfers."""
    return [ed25519.get_public_key(seed) for seed in world.traffic.seeds[1:]]


def kill_all(at_ms: int = 0, length_ms: int = ALWAYS_MS) -> EvaluatorFaults:
    return EvaluatorFaults(deaths=tuple(EvaluatorDeath(at_ms, length_ms, node) for node in range(4)))


def test_with_every_evaluator_dead_the_round_is_void_bonds_are_back_in_full_and_blocks_go_on() -> None:
    world, recorder, record = play(build_calm_plan(ROUND_MS, kill_all()))
    assert (record.phase, record.void_reason) == (Phase.VOID, VoidReason.NONE_ACCEPTED)
    assert {verdict.reason for verdict in record.verdicts} == {ReasonCode.NO_SCORE}
    assert len(record.reveals) == len(record.committee) == 4  # members abstain: nobody is absent, nobody loses
    assert len(record.updates) == 3
    for trainer in get_trainers(world):
        assert any(update.trainer == trainer for update in record.updates)
        assert get_balance(recorder, trainer, record.ended) == compute_balance(recorder, trainer, record.ended)
        assert get_balance(recorder, trainer, record.ended - 1) < compute_balance(recorder, trainer, record.ended - 1)
    blocks = world.mirror.height
    world.advance(3_000)
    assert world.mirror.height > blocks + 10
    assert sum(len(executed.block.extrinsics) for executed, _ in recorder.blocks[blocks:]) > 0
    assert world.finish().violations == ()


def test_rounds_advance_again_when_the_evaluators_are_back() -> None:
    world, _, record = play(build_calm_plan(ROUND_MS, kill_all(length_ms=6_000)))
    assert record.phase is Phase.VOID
    assert world.advance_until(lambda: world.marks.get("round advanced", 0) > 0, ROUND_MS)
    assert world.finish().violations == ()


def test_with_one_evaluator_dead_the_others_decide() -> None:
    faults = EvaluatorFaults(deaths=(EvaluatorDeath(0, ALWAYS_MS, 2),))
    world, _, record = play(build_calm_plan(ROUND_MS, faults))
    assert record.phase is Phase.ADVANCED
    assert len(record.reveals) == 4
    assert world.finish().violations == ()


def test_with_half_of_the_evaluators_dead_nothing_is_accepted_for_lack_of_scores() -> None:
    faults = EvaluatorFaults(deaths=tuple(EvaluatorDeath(0, ALWAYS_MS, node) for node in (0, 3)))
    world, _, record = play(build_calm_plan(ROUND_MS, faults))
    assert (record.phase, record.void_reason) == (Phase.VOID, VoidReason.NONE_ACCEPTED)
    assert world.finish().violations == ()


def test_an_evaluator_that_never_answers_costs_its_member_a_vote_and_the_round_nothing() -> None:
    world, _, record = play(build_calm_plan(ROUND_MS, EvaluatorFaults(stall_permille=1_000)))
    assert (record.phase, record.void_reason) == (Phase.VOID, VoidReason.NONE_ACCEPTED)
    assert len(record.commits) == 4  # at the last call
    assert world.finish().violations == ()


def test_a_lying_evaluator_alone_moves_no_verdict() -> None:
    honest = play(build_calm_plan(ROUND_MS))[2]
    world, _, record = play(build_calm_plan(ROUND_MS, EvaluatorFaults(liar=1)))
    reasons = {verdict.trainer: verdict.reason for verdict in record.verdicts}
    assert reasons == {verdict.trainer: verdict.reason for verdict in honest.verdicts}
    assert world.finish().violations == ()


def test_bytes_that_nobody_can_get_cost_their_trainers_the_fee_and_no_more() -> None:
    plan = replace(build_calm_plan(ROUND_MS), trainers=TrainerFaults(withheld_permille=1_000))
    world, recorder, record = play(plan)
    assert (record.phase, record.void_reason) == (Phase.VOID, VoidReason.NONE_ACCEPTED)
    assert {verdict.reason for verdict in record.verdicts} == {ReasonCode.UNAVAILABLE}
    fee = world.trainers.spec.update_bond * world.genesis.learning.unavailable_fee_bps // 10_000
    for trainer in get_trainers(world):
        expected = compute_balance(recorder, trainer, record.ended) - fee
        assert get_balance(recorder, trainer, record.ended) == expected
    assert world.finish().violations == ()


def test_bytes_that_one_node_can_get_reach_all_of_them() -> None:
    plan = replace(build_calm_plan(ROUND_MS), trainers=TrainerFaults(partial_permille=1_000))
    world, _, record = play(plan)
    assert {verdict.reason for verdict in record.verdicts}.isdisjoint({ReasonCode.UNAVAILABLE, ReasonCode.NO_SCORE})
    assert world.finish().violations == ()


def test_what_is_no_adapter_is_malformed_and_a_copy_earns_once() -> None:
    malformed = play(replace(build_calm_plan(ROUND_MS), trainers=TrainerFaults(malformed_permille=1_000)))[2]
    assert {verdict.reason for verdict in malformed.verdicts} == {ReasonCode.MALFORMED}
    copied = play(replace(build_calm_plan(ROUND_MS), trainers=TrainerFaults(copied_permille=1_000)))[2]
    reasons = sorted(verdict.reason for verdict in copied.verdicts)
    assert reasons[1:] == [ReasonCode.DUPLICATE, ReasonCode.DUPLICATE]
