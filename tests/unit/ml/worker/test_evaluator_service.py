"""What the shipped evaluator does beyond its contract's scores: bounds, cancelled work, memory."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from flockchain.node.evaluators import EvaluatorFailed
from flockchain.primitives.learning import AdapterMode
from flockchain.v1 import evaluator_pb2, evaluator_pb2_grpc
from flockchain_ml.models import LoadedModel
from flockchain_ml.worker import attachments, evaluator_service
from flockchain_ml.worker.attachments import File
from flockchain_ml.worker.evaluator_service import EvaluatorConfig, add_evaluator
from tests.kit.learning_modules import (
    build_evaluation,
    build_job,
    build_spec_for,
    connect,
    iterate_pieces,
    open_channel,
    run_module,
)
from tests.kit.peers import wait_until


@asynccontextmanager
async def open_evaluator(loaded: LoadedModel, config: EvaluatorConfig | None = None) -> AsyncIterator[Any]:
    """The node's client of a running evaluator, and a bare stub of it."""
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(run_module(lambda server: add_evaluator(server, loaded, config)))
        channel = await stack.enter_async_context(open_channel(address))
        client = await stack.enter_async_context(connect(address))
        yield client, evaluator_pb2_grpc.EvaluatorServiceStub(channel)


async def test_a_cancelled_evaluation_stops_the_thread_and_stays_busy_until_then(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, ended = threading.Event(), threading.Event()

    def work(_loaded: Any, _order: Any, on_rows: Any) -> None:
        started.set()
        try:
            while True:
                time.sleep(0.05)
                on_rows(1, 10)
        finally:
            time.sleep(0.3)
            ended.set()

    monkeypatch.setattr(evaluator_service, "evaluate_updates", work)
    job = build_job(tiny, build_spec_for(tiny, AdapterMode.FFA))
    async with open_evaluator(tiny) as (client, _):
        asking = asyncio.create_task(client.evaluate(job))
        await wait_until(started.is_set)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        with pytest.raises(EvaluatorFailed, match="RESOURCE_EXHAUSTED"):
            await client.evaluate(job)
        await wait_until(ended.is_set)
        monkeypatch.undo()
        await asyncio.sleep(0.05)
        assert None not in (await client.evaluate(job)).scores


async def test_health_answers_while_the_model_computes(tiny: LoadedModel) -> None:
    job = build_job(tiny, build_spec_for(tiny, AdapterMode.FFA), rows=600)
    config = EvaluatorConfig(batch_rows=20)
    async with open_evaluator(tiny, config) as (client, stub):
        asking = asyncio.create_task(client.evaluate(job))
        busy = 0
        while not asking.done():
            health = await stub.Health(evaluator_pb2.EvaluatorServiceHealthRequest(), timeout=5)
            busy += health.busy
            await asyncio.sleep(0.02)
    assert busy > 0
    assert len((await asking).losses) == 600


async def test_a_stream_that_goes_silent_is_given_up(tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "SILENCE_LIMIT_MS", 100)
    order, _ = build_evaluation(build_job(tiny, build_spec_for(tiny, AdapterMode.FFA)))
    async with open_evaluator(tiny) as (_, stub):
        call = stub.Evaluate()
        await call.write(evaluator_pb2.EvaluatorServiceEvaluateRequest(order=order))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        health = await stub.Health(evaluator_pb2.EvaluatorServiceHealthRequest(), timeout=5)
        assert not health.busy


async def test_an_order_larger_than_this_machine_takes_is_refused_by_its_announcement(tiny: LoadedModel) -> None:
    spec = build_spec_for(tiny, AdapterMode.STACK, rank=128)
    job = build_job(tiny, spec, rows=4)
    async with open_evaluator(tiny, EvaluatorConfig(order_mib_max=1)) as (client, _):
        with pytest.raises(EvaluatorFailed, match="larger than this module takes"):
            await client.evaluate(job)


async def test_nothing_of_an_order_is_left_in_memory(tiny: LoadedModel) -> None:
    job = build_job(tiny, build_spec_for(tiny, AdapterMode.FFA))
    order, files = build_evaluation(job)
    async with open_evaluator(tiny) as (client, stub):
        await client.evaluate(job)
        pieces = [evaluator_pb2.EvaluatorServiceEvaluateRequest(piece=piece) for piece in iterate_pieces(files)]
        broken = [evaluator_pb2.EvaluatorServiceEvaluateRequest(order=order), *pieces[:-1]]
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.Evaluate(iter(broken)).read()
        await asyncio.sleep(0.1)
        gc.collect()
        assert [item for item in gc.get_objects() if type(item) is File] == []


async def test_two_services_on_one_base_give_the_same_scores(tiny: LoadedModel) -> None:
    job = build_job(tiny, build_spec_for(tiny, AdapterMode.FFA), rounds=1, rows=40)
    answers = []
    for batch_rows in (80, 80, 7):
        async with open_evaluator(tiny, EvaluatorConfig(batch_rows=batch_rows)) as (client, _):
            answers.append(await client.evaluate(job))
    assert answers[0] == answers[1]
    assert answers[2].scores == pytest.approx(answers[0].scores, abs=1)
