"""Updates: one a trainer and round, behind a bond, while the set is open."""

from __future__ import annotations

from flockchain.primitives.learning import Phase
from flockchain.primitives.numbers import Hash, Round, TaskId
from flockchain.primitives.rounds import VoidReason
from tests.kit.learning import LearningChain, build_update
from tests.kit.runtime_chain import FLOCK, get_account


def assert_refused(world: LearningChain, sentence: str, trainer: str = "account-0", **fields: object) -> None:
    """A submission is refused with that sentence and leaves updates and balances as they were."""
    updates, balance = world.round.updates, world.chain.get_balance(trainer)
    refusal = world.submit(trainer, build_update(world.spec.adapter, 77), **fields)
    assert sentence in refusal
    assert world.round.updates == updates
    assert world.chain.get_balance(trainer) == balance - world.chain.find_events("ExtrinsicApplied")[0].fee


def test_a_submission_takes_the_bond_and_keeps_the_order_of_commitment() -> None:
    world = LearningChain.start()
    before = world.chain.get_balance("account-1")
    for number in (1, 0):
        assert world.submit(f"account-{number}", build_update(world.spec.adapter, number)) == ""
    event = world.chain.find_events("UpdateSubmitted")[0]
    assert (event.index, event.trainer) == (1, get_account("account-0"))
    assert [update.trainer for update in world.round.updates] == [get_account("account-1"), get_account("account-0")]
    assert all(update.bond == 200 * FLOCK for update in world.round.updates)
    assert before - world.chain.get_balance("account-1") > 200 * FLOCK


def test_a_second_update_of_a_trainer_is_refused() -> None:
    world = LearningChain.start()
    assert world.submit("account-0", build_update(world.spec.adapter, 1)) == ""
    assert_refused(world, "already")


def test_a_size_of_nothing_or_over_the_limit_is_refused() -> None:
    world = LearningChain.start()
    assert_refused(world, "size", size_bytes=0)
    assert_refused(world, "size", size_bytes=world.spec.max_update_bytes + 1)


def test_another_round_or_task_is_refused() -> None:
    world = LearningChain.start()
    assert_refused(world, "no updates now", round=Round(1))
    assert_refused(world, "no such entry", task=TaskId(9))


def test_a_bond_that_the_trainer_does_not_have_is_refused() -> None:
    world = LearningChain.start(update_bond=10**17)
    assert_refused(world, "too little")


def test_the_round_closes_when_it_is_full() -> None:
    world = LearningChain.start()
    world.submit_all()
    assert (world.round.phase, world.round.closed) == (Phase.SUBMIT, world.chain.height)
    assert_refused(world, "no updates now", trainer="account-5")
    assert world.round.phase is Phase.COMMIT


def test_a_block_holds_no_more_than_the_round_takes() -> None:
    world = LearningChain.start()
    raws = []
    for number in range(5):
        root = Hash(bytes([number]) * 32)
        arguments = world.chain.find_call("updates.submit")[1].arguments.cls(world.task, Round(0), root, 100, root)
        raws.append(world.chain.sign(f"account-{number}", "updates.submit", arguments))
    outcome = world.chain.advance(*raws)
    assert [receipt.is_success for receipt in outcome.receipts] == [True, True, True, False, False]
    assert len(world.round.updates) == 3


def test_nothing_is_taken_after_the_deadline() -> None:
    world = LearningChain.start(submit_blocks=3)
    for number in range(2):
        assert world.submit(f"account-{number}", build_update(world.spec.adapter, number)) == ""
    world.chain.advance()
    assert (world.round.closed, world.round.deadline) == (4, 4)
    assert_refused(world, "no updates now", trainer="account-3")


def test_too_few_updates_at_the_deadline_void_the_round_and_bonds_return() -> None:
    world = LearningChain.start(submit_blocks=3)
    before = world.chain.get_balance("account-0")
    assert world.submit("account-0", build_update(world.spec.adapter, 1)) == ""
    fee = world.chain.find_events("ExtrinsicApplied")[0].fee
    while world.record.round == 0:
        world.chain.advance()
    ended = world.get_round(0)
    assert (ended.phase, ended.void_reason, ended.ended) == (Phase.VOID, VoidReason.TOO_FEW_UPDATES, 4)
    assert ended.committee == ()
    assert world.chain.get_balance("account-0") == before - fee
    assert world.submit("account-0", build_update(world.spec.adapter, 1)) == ""
