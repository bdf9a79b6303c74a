"""Tasks: what may be fixed, the pool, and the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flockchain.primitives.learning import AdapterMode, Phase
from flockchain.primitives.limits import BLOB_BYTES_MAX, TASK_ROUNDS_MAX
from flockchain.primitives.numbers import Balance
from flockchain.primitives.rounds import TaskStatus, VoidReason
from flockchain.runtime import learning_views
from flockchain.runtime.pallets.tasks import CancelTask, CreateTask
from flockchain.runtime.task_rules import TaskSpecRefused, require_task_spec
from tests.kit.learning import LearningChain, build_adapter, build_spec, build_update
from tests.kit.runtime_chain import FLOCK, RuntimeChain

ADAPTER = build_adapter()


def test_creating_a_task_takes_its_pool_and_opens_the_first_round() -> None:
    chain = RuntimeChain.start()
    before = chain.get_balance("faucet")
    assert chain.call("faucet", "tasks.create", CreateTask(build_spec())) == ""
    fee = chain.find_events("ExtrinsicApplied")[0].fee
    assert chain.get_balance("faucet") == before - fee - 900 * FLOCK
    record = learning_views.find_task(chain.store, chain.find_events("TaskCreated")[0].task)
    assert record is not None
    assert (record.status, record.pool_left, record.round, record.created) == (TaskStatus.OPEN, 900 * FLOCK, 0, 1)
    opened = learning_views.find_round(chain.store, record.task, record.round)
    assert opened is not None
    assert (opened.phase, opened.opened, opened.deadline) == (Phase.SUBMIT, 1, 7)


def test_tasks_are_numbered_and_listed() -> None:
    chain = RuntimeChain.start()
    for name in ("one", "two", "three"):
        assert chain.call("faucet", "tasks.create", CreateTask(build_spec(name=name))) == ""
    assert [record.spec.name for record in learning_views.list_tasks(chain.store)] == ["one", "two", "three"]
    assert learning_views.get_open_tasks(chain.store) == (0, 1, 2)
    assert learning_views.find_task(chain.store, learning_views.list_tasks(chain.store)[2].task + 1) is None  # type: ignore[arg-type]


WRONG: list[dict[str, Any]] = [
    {"name": ""}, {"name": 'a "name"'}, {"name": "tab\t"}, {"name": "naïve"},
    {"suite_rows": 0}, {"suite_bytes": 0}, {"suite_bytes": BLOB_BYTES_MAX + 1}, {"prompts_per_round": 0},
    {"prompts_per_round": 101}, {"audit_rows": 0}, {"audit_rows": 17}, {"audit_rows": 9, "prompts_per_round": 8},
    {"reputation_cap": -1}, {"mass_threshold": -1}, {"reputation_floor": 1}, {"reputation_cap": 10**13},
    {"committee_size": 0}, {"committee_size": 65}, {"min_updates": 0}, {"min_updates": 4}, {"max_updates": 129},
    {"max_update_bytes": 10}, {"max_update_bytes": BLOB_BYTES_MAX + 1}, {"submit_blocks": 0}, {"commit_blocks": 0},
    {"reveal_blocks": 0}, {"aggregate_blocks": 0}, {"aggregate_blocks": 10**6 + 1}, {"rounds": 0},
    {"rounds": TASK_ROUNDS_MAX + 1}, {"reward_pool": 2}, {"update_bond": 0},
    {"adapter": replace(ADAPTER, rank=0)}, {"adapter": replace(ADAPTER, rank=257)},
    {"adapter": replace(ADAPTER, alpha=0)},
    {"adapter": replace(ADAPTER, modules=())}, {"adapter": replace(ADAPTER, modules=ADAPTER.modules[::-1])},
    {"adapter": replace(ADAPTER, modules=ADAPTER.modules[:1] * 2)},
    {"adapter": replace(ADAPTER, modules=(replace(ADAPTER.modules[0], in_features=0),))},
    {"adapter": replace(ADAPTER, modules=(replace(ADAPTER.modules[0], b_scale_bits=41),))},
    {"adapter": replace(ADAPTER, modules=(replace(ADAPTER.modules[0], name='q"'),))},
]  # fmt: skip


@pytest.mark.parametrize("fields", WRONG, ids=lambda fields: " ".join(fields))
def test_a_task_that_could_not_run_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(TaskSpecRefused):
        require_task_spec(build_spec(**{"max_update_bytes": 10**6, **fields}))


def test_a_task_whose_aggregate_would_not_fit_a_blob_is_refused() -> None:
    module = replace(ADAPTER.modules[0], in_features=1 << 20, out_features=1 << 10)
    adapter = replace(ADAPTER, modules=(module,), mode=AdapterMode.STACK)
    with pytest.raises(TaskSpecRefused, match="aggregate"):
        require_task_spec(build_spec(adapter=adapter, max_updates=128, max_update_bytes=BLOB_BYTES_MAX))


def test_a_refused_task_changes_nothing_but_the_fee() -> None:
    chain = RuntimeChain.start()
    before = chain.get_balance("faucet")
    assert "out of range" in chain.call("faucet", "tasks.create", CreateTask(build_spec(rounds=0)))
    fee = chain.find_events("ExtrinsicApplied")[0].fee
    assert chain.get_balance("faucet") == before - fee
    assert learning_views.list_tasks(chain.store) == ()


def test_a_pool_that_the_creator_does_not_have_is_refused() -> None:
    chain = RuntimeChain.start()
    pool = Balance(chain.get_balance("account-0") + 1)
    assert "too little" in chain.call("account-0", "tasks.create", CreateTask(build_spec(reward_pool=pool)))
    assert learning_views.list_tasks(chain.store) == ()


def test_a_cancelled_task_returns_its_pool_and_takes_nothing_more() -> None:
    world = LearningChain.start()
    before = world.chain.get_balance("faucet")
    assert world.cancel("faucet") == ""
    fee = world.chain.find_events("ExtrinsicApplied")[0].fee
    assert world.chain.get_balance("faucet") == before - fee + 900 * FLOCK
    assert (world.record.status, world.record.pool_left) == (TaskStatus.CANCELLED, 0)
    assert (world.round.phase, world.round.void_reason) == (Phase.VOID, VoidReason.CANCELLED)
    assert "over" in world.submit("account-0", build_update(world.spec.adapter, 1))
    assert "over" in world.cancel("faucet")
    assert learning_views.get_open_tasks(world.chain.store) == ()
    for _ in range(10):
        world.chain.advance()
    assert world.round.void_reason is VoidReason.CANCELLED


def test_only_the_creator_cancels_and_only_before_the_first_update() -> None:
    world = LearningChain.start()
    assert "creator" in world.cancel("account-0")
    assert "no such entry" in world.chain.call("faucet", "tasks.cancel", CancelTask(type(world.task)(7)))
    assert world.submit("account-0", build_update(world.spec.adapter, 1)) == ""
    assert "started" in world.cancel("faucet")
    world.advance_to(Phase.SUBMIT)
    while world.record.round == 0:
        world.chain.advance()
    assert "started" in world.cancel("faucet")
    assert world.record.status is TaskStatus.OPEN


def test_a_task_ends_after_its_last_round_and_returns_what_is_left() -> None:
    world = LearningChain.start(rounds=2, submit_blocks=2)
    before = world.chain.get_balance("faucet")
    while world.record.status is TaskStatus.OPEN:
        world.chain.advance()
    assert world.chain.height == 1 + 2 + 2
    assert world.chain.find_events("TaskFinished")[0].returned == 900 * FLOCK
    assert world.chain.get_balance("faucet") == before + 900 * FLOCK
    assert world.record.status is TaskStatus.FINISHED
    assert [world.get_round(number).void_reason for number in (0, 1)] == [VoidReason.TOO_FEW_UPDATES] * 2
