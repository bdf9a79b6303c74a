"""The agent's side of a trainer module: only exactly one canonical update of the task is believed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from typing import Any

import grpc
import grpc.aio
import pytest

from flockchain.exact import decode_update
from flockchain.primitives.learning import AdapterMode, TaskSpec
from flockchain.primitives.numbers import Round, TaskId
from flockchain.v1 import learning_pb2, trainer_pb2, trainer_pb2_grpc
from flockchain_ml.models import LoadedModel
from flockchain_ml.rows import Row, encode_suite
from flockchain_ml.worker.agent import TrainingFailed, TrainingRequest
from flockchain_ml.worker.trainer_client import ModuleUnfit, ModuleUnreachable, RemoteTrainer, RemoteTrainerConfig
from flockchain_ml.worker.trainer_service import TrainerConfig, add_trainer
from tests.kit.learning import build_adapter, build_spec, build_update
from tests.kit.learning_modules import build_lineage, build_spec_for, run_module

SPEC = build_spec()
REQUEST = TrainingRequest(TaskId(0), Round(0), SPEC, ())
GOOD = build_update(SPEC.adapter, 1)
UPDATE, PROMPTS = learning_pb2.ATTACHMENT_ROLE_UPDATE, learning_pb2.ATTACHMENT_ROLE_PROMPTS
Reply = trainer_pb2.TrainerServiceTrainResponse


def announce(data: bytes = GOOD, **fields: Any) -> Reply:
    values = {"role": UPDATE, "index": 0, "size_bytes": len(data), "digest": sha256(data).digest(), **fields}
    return Reply(result=trainer_pb2.TrainingResult(update=learning_pb2.Attachment(**values), samples=3, loss=7))


def piece(data: bytes = GOOD, offset: int = 0) -> Reply:
    return Reply(piece=learning_pb2.Piece(role=UPDATE, index=0, offset=offset, data=data))


PROGRESS = Reply(progress=trainer_pb2.TrainingProgress(steps_done=1, steps=2, stage="training"))
WRONG_LOSS = Reply(result=trainer_pb2.TrainingResult(update=announce().result.update, loss=10**15))
OTHER_RANK = build_update(build_adapter(rank=3), 1)
NAN = GOOD.replace(b'"I16"', b'"F16"').replace(GOOD[-8:], b"\xff\x7f" * 4)


class Module(trainer_pb2_grpc.TrainerServiceServicer):
    """Does as `script` says: replies, pauses (seconds) and status codes."""

    def __init__(self, *script: Any, version: int = 1, base: bytes = SPEC.base_model) -> None:
        self.script = script
        self.version = version
        self.base = base

    async def Describe(self, request: Any, context: Any) -> Any:  # noqa: N802
        return trainer_pb2.TrainerServiceDescribeResponse(
            protocol_version=self.version, base_models=[self.base], modes=[1], data_sets=["local"]
        )

    async def Train(self, requests: Any, context: Any) -> None:  # noqa: N802
        async for _ in requests:
            pass
        for step in self.script:
            if isinstance(step, (int, float)):
                await asyncio.sleep(step)
            elif isinstance(step, grpc.StatusCode):
                await context.abort(step, "as the script says")
            else:
                await context.write(step)


@asynccontextmanager
async def dial(add_service: Callable[[Any], None], **fields: Any) -> AsyncIterator[RemoteTrainer]:
    async with run_module(add_service) as address:
        config = RemoteTrainerConfig(address, None, data_set="local", silence_limit_ms=400, time_limit_ms=900)
        trainer = RemoteTrainer(replace(config, **fields))
        try:
            yield trainer
        finally:
            await trainer.close()


def scripted(*script: Any, **fields: Any) -> Callable[[Any], None]:
    return lambda server: trainer_pb2_grpc.add_TrainerServiceServicer_to_server(Module(*script, **fields), server)


async def test_an_update_of_the_task_is_believed() -> None:
    async with dial(scripted(PROGRESS, announce(), piece(GOOD[:50]), piece(GOOD[50:], 50))) as trainer:
        await trainer.prepare(SPEC)
        trained = await trainer.train(REQUEST)
    assert (trained.data, trained.samples, trained.loss) == (GOOD, 3, 7)


@pytest.mark.parametrize(
    "script",
    {
        "nothing": [],
        "progress only": [PROGRESS],
        "an empty part": [Reply()],
        "a piece before its announcement": [piece()],
        "no pieces": [announce()],
        "half of it": [announce(), piece(GOOD[:50])],
        "more than it": [announce(), piece(), piece()],
        "two results": [announce(), announce()],
        "another digest": [announce(digest=bytes(32)), piece()],
        "another role": [announce(role=PROMPTS), piece()],
        "another size": [announce(GOOD + b"\x00"), piece(GOOD + b"\x00")],
        "terabytes": [announce(size_bytes=1 << 50), piece()],
        "another rank": [announce(OTHER_RANK), piece(OTHER_RANK)],
        "floats with NaN": [announce(NAN), piece(NAN)],
        "a pickle": [announce(b"\x80\x04".ljust(len(GOOD))), piece(b"\x80\x04".ljust(len(GOOD)))],
        "a loss out of range": [WRONG_LOSS, piece()],
    }.items(),
    ids=lambda case: case[0],
)
async def test_garbage_is_a_failed_training(script: tuple[str, list[Any]]) -> None:
    async with dial(scripted(*script[1])) as trainer:
        with pytest.raises(TrainingFailed, match="garbage"):
            await trainer.train(REQUEST)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ([PROGRESS, 5], "silent"),
        ([PROGRESS, 0.2] * 20, "too long"),
        ([PROGRESS, grpc.StatusCode.RESOURCE_EXHAUSTED], "as the script says"),
        ([announce(), grpc.StatusCode.INTERNAL], "as the script says"),
    ],
)
async def test_a_module_that_hangs_or_fails_is_a_failed_training(script: list[Any], reason: str) -> None:
    async with dial(scripted(*script)) as trainer:
        with pytest.raises(TrainingFailed, match=reason):
            await trainer.train(REQUEST)


async def test_a_module_that_dies_in_the_middle_is_a_failed_training() -> None:
    async with run_module(scripted(PROGRESS, 30)) as address:
        trainer = RemoteTrainer(RemoteTrainerConfig(address, None))
        training = asyncio.create_task(trainer.train(REQUEST))
        await asyncio.sleep(0.2)
    with pytest.raises(TrainingFailed):
        await training
    await trainer.close()


async def test_a_module_that_cannot_train_for_the_task_is_found_out_before_the_first_round() -> None:
    for fields in ({"version": 2}, {"base": bytes(32)}):
        async with dial(scripted(**fields)) as trainer:
            with pytest.raises(ModuleUnfit):
                await trainer.prepare(SPEC)
    stack = replace(SPEC, adapter=build_adapter(AdapterMode.STACK))
    async with dial(scripted()) as trainer:
        with pytest.raises(ModuleUnfit, match="mode"):
            await trainer.prepare(stack)
    async with dial(scripted(), data_set="elsewhere") as trainer:
        with pytest.raises(ModuleUnfit, match="data set"):
            await trainer.prepare(SPEC)


async def test_where_nobody_listens_there_is_no_module() -> None:
    trainer = RemoteTrainer(RemoteTrainerConfig("127.0.0.1:9", None, start_limit_ms=300))
    with pytest.raises(ModuleUnreachable):
        await trainer.prepare(SPEC)
    with pytest.raises(TrainingFailed):
        await trainer.train(REQUEST)
    await trainer.close()


@pytest.mark.parametrize("mode", list(AdapterMode))
async def test_the_shipped_module_trains_for_the_agent(
    tiny: LoadedModel, shard: tuple[Row, ...], mode: AdapterMode
) -> None:
    adapter = build_spec_for(tiny, mode)
    task: TaskSpec = replace(SPEC, base_model=tiny.digest, adapter=adapter)
    request = TrainingRequest(TaskId(0), Round(1), task, build_lineage(adapter, 1))
    fields = {"dataset": b"\n".join(encode_suite(shard)), "steps": 2, "batch_size": 4, "silence_limit_ms": 20_000}
    async with dial(
        lambda server: add_trainer(server, tiny, TrainerConfig()), time_limit_ms=60_000, **fields
    ) as trainer:
        await trainer.prepare(task)
        first, again = [await trainer.train(request) for _ in range(2)]
        later = await trainer.train(replace(request, round=Round(2)))
    assert first == again
    assert first.data != later.data, "each round draws other batches"
    assert decode_update(first.data, adapter)
    assert first.samples == len(shard)
