"""The agent over a real API and a real chain: rounds come and go, trainers fail, nodes are away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flockchain.client import Account, AsyncClient, Timing
from flockchain.client.errors import NotFound
from flockchain.primitives.learning import AdapterMode, Phase, ReasonCode, TaskSpec
from flockchain.primitives.numbers import TaskId
from flockchain.runtime.dev_keys import derive_dev_account
from flockchain_ml.worker import agent
from flockchain_ml.worker.agent import Contribution, Stage, TrainedUpdate, TrainingFailed, TrainingRequest, run_agent
from tests.kit.api_chain import ApiNode, build_learning_node, serve
from tests.kit.learning import LearningChain, build_adapter, build_update

QUICK = Timing(deadline_ms=1_000, attempts=2, backoff_ms=10, poll_ms=10)
OURS = Account(derive_dev_account("account-0"))


@dataclass
class Trainer:
    """Gives the update of its seed; fails in the rounds that it is told to."""

    failing: tuple[int, ...] = ()
    prepared: list[TaskSpec] = field(default_factory=list)
    requests: list[TrainingRequest] = field(default_factory=list)

    async def prepare(self, spec: TaskSpec) -> None:
        self.prepared.append(spec)

    async def train(self, request: TrainingRequest) -> TrainedUpdate:
        self.requests.append(request)
        if request.round in self.failing:
            raise TrainingFailed("the trainer failed: it is gone")
        return TrainedUpdate(build_update(request.spec.adapter, 50 + request.round), 5, 1_000)

    async def close(self) -> None: ...


@asynccontextmanager
async def follow(endpoint: str, trainer: Trainer, task: int = 0) -> AsyncIterator[AsyncIterator[Contribution]]:
    client = AsyncClient(endpoint, timing=QUICK)
    async with client, aclosing(run_agent(client, trainer, OURS, TaskId(task))) as events:
        yield events


async def play_round(
    node: ApiNode, world: LearningChain, others: int, scores: list[int], *, is_published: bool = True
) -> None:
    """The other trainers' and the committee's part of the round that is open."""
    number = world.record.round
    for at in range(1, 1 + others):
        assert world.submit(f"account-{at}", build_update(world.spec.adapter, 900 + 10 * number + at)) == ""
    world.blobs.update({u.blob: node.blobs.read(u.blob) for u in world.round.updates if node.blobs.has(u.blob)})
    world.judge(scores)
    world.advance_to(Phase.AGGREGATE)
    world.advance(world.build_certificate(range(4)))
    if is_published:
        publish(node, world)
    world.chain.advance()


def publish(node: ApiNode, world: LearningChain) -> None:
    for data in world.blobs.values():
        node.blobs.put(data)


async def submit_ours(events: AsyncIterator[Contribution], node: ApiNode) -> Contribution:
    """The next event, with blocks being made meanwhile."""
    async with node.run_blocks():
        return await anext(events)


@pytest.mark.parametrize("mode", list(AdapterMode))
async def test_it_contributes_to_every_round_says_what_became_of_it_and_ends_with_the_task(
    tmp_path: Path, mode: AdapterMode
) -> None:
    fields = {"rounds": 2, "submit_blocks": 1_000, "adapter": build_adapter(mode), "max_update_bytes": 100_000}
    node, world = build_learning_node(tmp_path, **fields)
    trainer = Trainer()
    async with serve(node) as endpoint, follow(endpoint, trainer) as events:
        assert (await submit_ours(events, node)).stage is Stage.SUBMITTED
        await play_round(node, world, 2, [10, 20, 30])
        judged = await anext(events)
        assert (judged.stage, judged.round, judged.reason, judged.score) == (Stage.JUDGED, 0, ReasonCode.ACCEPTED, 10)
        submitted = await submit_ours(events, node)
        assert (submitted.stage, submitted.round, submitted.loss) == (Stage.SUBMITTED, 1, 1_000)
        await play_round(node, world, 2, [10, 20, 30])
        assert [event.stage async for event in events] == [Stage.JUDGED]
    assert trainer.prepared == [world.spec]
    assert [(request.round, len(request.model)) for request in trainer.requests] == [(0, 0), (1, 1)]


async def test_a_round_in_which_the_trainer_fails_is_left_out_and_the_next_is_not(tmp_path: Path) -> None:
    node, world = build_learning_node(tmp_path, rounds=2, submit_blocks=1_000)
    trainer = Trainer(failing=(0,))
    async with serve(node) as endpoint, follow(endpoint, trainer) as events:
        left_out = await anext(events)
        assert (left_out.stage, left_out.problem) == (Stage.LEFT_OUT, "the trainer failed: it is gone")
        assert node.submissions == 0
        for at in range(3):
            assert world.submit(f"account-{1 + at}", build_update(world.spec.adapter, 700 + at)) == ""
        await play_round(node, world, 0, [10, 20, 30])
        submitted = await submit_ours(events, node)
        assert (submitted.stage, submitted.round) == (Stage.SUBMITTED, 1)
        await play_round(node, world, 2, [10, 20, 30])
        assert [event.stage async for event in events] == [Stage.JUDGED]


async def test_a_trainer_that_watches_is_given_the_others_updates_of_its_round_once_there_are_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "_FETCH_MS", 20)
    node, world = build_learning_node(tmp_path, rounds=1, submit_blocks=1_000)
    others = build_update(world.spec.adapter, 901)
    watched: list[tuple[bytes, ...]] = []

    class Watcher(Trainer):
        async def train(self, request: TrainingRequest) -> TrainedUpdate:
            watching = asyncio.ensure_future(request.watch())
            await asyncio.sleep(0.1)
            assert not watching.done()
            assert world.submit("account-1", others) == ""
            publish(node, world)
            world.chain.advance()
            watched.append(await watching)
            return await super().train(request)

    async with serve(node) as endpoint, follow(endpoint, Watcher()) as events:
        assert (await submit_ours(events, node)).stage is Stage.SUBMITTED
    assert watched == [(others,)]


async def test_started_again_it_does_not_train_a_round_that_has_its_update(tmp_path: Path) -> None:
    node, world = build_learning_node(tmp_path, rounds=1, submit_blocks=1_000)
    async with serve(node) as endpoint:
        async with follow(endpoint, Trainer()) as events:
            assert (await submit_ours(events, node)).stage is Stage.SUBMITTED
        restarted = Trainer()
        async with follow(endpoint, restarted) as events:
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0.1)
            await play_round(node, world, 2, [10, 20, 30])
            judged = await waiting
    assert (judged.stage, judged.round, judged.reason) == (Stage.JUDGED, 0, ReasonCode.ACCEPTED)
    assert restarted.requests == []
    assert node.submissions == 1


async def test_a_void_round_is_said_to_be_one(tmp_path: Path) -> None:
    node, _ = build_learning_node(tmp_path, rounds=1, submit_blocks=30)
    async with serve(node) as endpoint, follow(endpoint, Trainer()) as events, node.run_blocks():
        assert [event.stage async for event in events] == [Stage.SUBMITTED, Stage.VOID]


async def test_it_goes_on_when_no_node_answered_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "_RETRY_MS", 50)
    node, world = build_learning_node(tmp_path, rounds=2, submit_blocks=1_000)
    async with serve(node) as endpoint:
        port = endpoint.rpartition(":")[2]
        following = follow(endpoint, Trainer())
        events = await following.__aenter__()
        assert (await submit_ours(events, node)).stage is Stage.SUBMITTED
        await play_round(node, world, 2, [10, 20, 30])
        assert (await anext(events)).stage is Stage.JUDGED
        assert (await submit_ours(events, node)).round == 1
        waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    async with serve(node, address=f"127.0.0.1:{port}"):
        await play_round(node, world, 2, [10, 20, 30])
        assert (await waiting).stage is Stage.JUDGED
        await following.__aexit__(None, None, None)


async def test_it_waits_for_a_model_that_its_node_is_still_fetching(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "_FETCH_MS", 20)
    node, world = build_learning_node(tmp_path, rounds=2, submit_blocks=1_000)
    async with serve(node) as endpoint, follow(endpoint, Trainer()) as events:
        assert (await submit_ours(events, node)).stage is Stage.SUBMITTED
        await play_round(node, world, 2, [10, 20, 30], is_published=False)
        assert (await anext(events)).stage is Stage.JUDGED
        submitting = asyncio.ensure_future(submit_ours(events, node))
        await asyncio.sleep(0.2)
        assert not submitting.done()
        publish(node, world)
        submitted = await submitting
    assert (submitted.stage, submitted.round) == (Stage.SUBMITTED, 1)


async def test_a_task_that_is_not_there_is_an_error_and_one_that_is_over_is_none(tmp_path: Path) -> None:
    node, _ = build_learning_node(tmp_path, rounds=1, submit_blocks=2)
    trainer = Trainer()
    async with serve(node) as endpoint:
        async with follow(endpoint, trainer, task=7) as events:
            with pytest.raises(NotFound):
                await anext(events)
        for _ in range(10):
            node.make_block()
        async with follow(endpoint, trainer) as events:
            assert [event async for event in events] == []
    assert trainer.prepared == []
