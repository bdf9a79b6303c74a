"""The shipped trainer module over a real socket: the update it gives, and a status for each bad order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from flockchain.exact import decode_update
from flockchain.primitives.learning import AdapterMode
from flockchain.v1 import learning_pb2, trainer_pb2, trainer_pb2_grpc
from flockchain_ml.models import LoadedModel, load_model
from flockchain_ml.rows import Row, encode_suite
from flockchain_ml.trainer import TrainOrder, TrainSettings, train_update
from flockchain_ml.worker.trainer_service import TrainerConfig, add_trainer
from tests.kit.learning_modules import (
    Attachments,
    announce,
    build_lineage,
    build_spec_for,
    build_training,
    build_update_of,
    iterate_pieces,
    open_channel,
    run_module,
    write_gpt2,
)

Request = trainer_pb2.TrainerServiceTrainRequest
SETTINGS = TrainSettings(steps=3, batch_rows=4)
DATASET, MODEL = learning_pb2.ATTACHMENT_ROLE_DATASET, learning_pb2.ATTACHMENT_ROLE_MODEL


@asynccontextmanager
async def open_trainer(loaded: LoadedModel, rows: tuple[Row, ...]) -> AsyncIterator[Any]:
    config = TrainerConfig({"local": rows})
    async with run_module(lambda server: add_trainer(server, loaded, config)) as address, open_channel(address) as line:
        yield trainer_pb2_grpc.TrainerServiceStub(line)


async def train(stub: Any, order: trainer_pb2.TrainingOrder, files: Attachments) -> Any:
    """The result and the update's bytes, or the status that came instead."""
    requests = [Request(order=order), *(Request(piece=piece) for piece in iterate_pieces(files))]
    call = stub.Train(iter(requests))
    result, data, steps = None, b"", []
    try:
        async for reply in call:
            part = reply.WhichOneof("part")
            if part == "progress":
                steps.append(reply.progress.steps_done)
            elif part == "result":
                result = reply.result
            else:
                assert result is not None
                assert reply.piece.offset == len(data)
                data += reply.piece.data
    except grpc.aio.AioRpcError:
        assert "\n" not in (await call.details() or "")
        return await call.code()
    assert result is not None
    assert steps[-1] == order.settings.steps
    assert sha256(data).digest() == result.update.digest
    assert len(data) == result.update.size_bytes
    return result, data


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(write_gpt2(tmp_path_factory.mktemp("gpt2")))


@pytest.mark.parametrize("base", ["tiny", "gpt2"])
@pytest.mark.parametrize("mode", list(AdapterMode))
@pytest.mark.parametrize("rounds", [0, 2])
async def test_it_gives_the_update_that_training_in_process_gives(
    base: str, mode: AdapterMode, rounds: int, shard: tuple[Row, ...], request: pytest.FixtureRequest
) -> None:
    loaded: LoadedModel = request.getfixturevalue(base)
    spec = build_spec_for(loaded, mode)
    lineage = build_lineage(spec, rounds)
    order, files = build_training(loaded, spec, lineage=lineage)
    async with open_trainer(loaded, shard) as stub:
        result, data = await train(stub, order, files)
    wanted = train_update(loaded, TrainOrder(spec, lineage, shard, order.round, seed=9, settings=SETTINGS))
    assert data == wanted.update
    assert decode_update(data, spec)
    assert (result.samples, result.loss) == (len(shard), round(sum(wanted.losses) / 3 * 1e6))


async def test_it_describes_itself_and_is_ready(tiny: LoadedModel, shard: tuple[Row, ...]) -> None:
    async with open_trainer(tiny, shard) as stub:
        described = await stub.Describe(trainer_pb2.TrainerServiceDescribeRequest())
        health = await stub.Health(trainer_pb2.TrainerServiceHealthRequest())
    assert (described.protocol_version, list(described.base_models)) == (1, [tiny.digest])
    assert list(described.data_sets) == ["local"]
    assert list(described.modes) == [learning_pb2.ADAPTER_MODE_FFA, learning_pb2.ADAPTER_MODE_STACK]
    assert (health.ready, health.busy) == (True, False)


async def test_rows_that_are_sent_are_used_in_place_of_its_own(tiny: LoadedModel, shard: tuple[Row, ...]) -> None:
    spec = build_spec_for(tiny, AdapterMode.FFA)
    dataset = b"\n".join(encode_suite(shard[:20])) + b"\n\n"
    async with open_trainer(tiny, shard[20:]) as stub:
        result, data = await train(stub, *build_training(tiny, spec, dataset=dataset))
    assert result.samples == 20
    assert data == train_update(tiny, TrainOrder(spec, (), shard[:20], 0, seed=9, settings=SETTINGS)).update


async def test_rows_that_are_too_long_are_cut_when_that_is_asked_for(tiny: LoadedModel) -> None:
    spec = build_spec_for(tiny, AdapterMode.FFA)
    rows = (Row("what is 3 plus 4 ?", "7"), Row("what is", "9 " * 300), Row("what " * 300, "7"))
    async with open_trainer(tiny, rows) as stub:
        assert await train(stub, *build_training(tiny, spec)) is grpc.StatusCode.INVALID_ARGUMENT
        _, data = await train(stub, *build_training(tiny, spec, row_tokens_max=12))
        assert decode_update(data, spec)
        too_short = build_training(tiny, spec, row_tokens_max=2)
        assert await train(stub, *too_short) is not grpc.StatusCode.INTERNAL


Change = Callable[[trainer_pb2.TrainingOrder, Attachments], Attachments]


def with_settings(**fields: Any) -> Change:
    def apply(order: trainer_pb2.TrainingOrder, files: Attachments) -> Attachments:
        for name, value in fields.items():
            setattr(order.settings, name, value)
        return files

    return apply


def with_files(change: Callable[[Attachments], Attachments]) -> Change:
    def apply(order: trainer_pb2.TrainingOrder, files: Attachments) -> Attachments:
        files = change(files)
        del order.attachments[:]
        order.attachments.extend(announce(files))
        return files

    return apply


def with_extra_setting(order: trainer_pb2.TrainingOrder, files: Attachments) -> Attachments:
    order.settings.extra["magic"] = "1"
    return files


def with_other_data_set(order: trainer_pb2.TrainingOrder, files: Attachments) -> Attachments:
    order.data_set = "elsewhere"
    return files


def with_other_base(order: trainer_pb2.TrainingOrder, files: Attachments) -> Attachments:
    order.base_model = bytes(32)
    return files


def with_other_rank(order: trainer_pb2.TrainingOrder, files: Attachments) -> Attachments:
    order.adapter.rank += 1
    return files


BROKEN: dict[str, Change] = {
    "a setting that it does not know": with_extra_setting,
    "a learning rate above one": with_settings(learning_rate_nanos=2 * 10**9),
    "a training without end": with_settings(steps=2**31),
    "batches without end": with_settings(batch_size=2**31),
    "rows of one token": with_settings(row_tokens_max=1),
    "fields that differ from their canonical bytes": with_other_rank,
    "rows that are not JSON": with_files(lambda files: [*files, (DATASET, 0, b"{'prompt'", 0)]),
    "rows of nothing": with_files(lambda files: [*files, (DATASET, 0, b"\n\n", 0)]),
    "two data sets": with_files(lambda files: [*files, (DATASET, 0, b"{}", 0), (DATASET, 1, b"{}", 0)]),
    "a model of another size": with_files(lambda files: [(MODEL, 0, files[0][2] + b"\x00", 0)]),
    "a pickle in place of the model": with_files(
        lambda files: [(MODEL, 0, b"\x80\x04]\x94.".ljust(len(files[0][2]), b"\x00"), 0)]
    ),
    "a prompt set": with_files(lambda files: [*files, (learning_pb2.ATTACHMENT_ROLE_PROMPTS, 0, b"{}", 0)]),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_order_is_an_invalid_argument(tiny: LoadedModel, shard: tuple[Row, ...], name: str) -> None:
    spec = build_spec_for(tiny, AdapterMode.FFA)
    order, files = build_training(tiny, spec, lineage=build_lineage(spec, 1))
    files = BROKEN[name](order, files)
    async with open_trainer(tiny, shard) as stub:
        assert await train(stub, order, files) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("change", [with_other_data_set, with_other_base])
async def test_what_is_not_here_is_a_failed_precondition(
    tiny: LoadedModel, shard: tuple[Row, ...], change: Change
) -> None:
    order, files = build_training(tiny, build_spec_for(tiny, AdapterMode.FFA))
    files = change(order, files)
    async with open_trainer(tiny, shard) as stub:
        assert await train(stub, order, files) is grpc.StatusCode.FAILED_PRECONDITION


async def test_one_training_at_a_time_and_a_cancelled_one_stops(tiny: LoadedModel, shard: tuple[Row, ...]) -> None:
    spec = build_spec_for(tiny, AdapterMode.FFA)
    long, files = build_training(tiny, spec, steps=100_000)
    short, _ = build_training(tiny, spec)
    async with open_trainer(tiny, shard) as stub:
        call = stub.Train(iter([Request(order=long)]))
        while (await call.read()).progress.steps_done < 2:
            pass
        assert await train(stub, short, files) is grpc.StatusCode.RESOURCE_EXHAUSTED
        health = await stub.Health(trainer_pb2.TrainerServiceHealthRequest(), timeout=5)
        assert health.busy
        call.cancel()
        async with asyncio.timeout(10):
            while (await stub.Health(trainer_pb2.TrainerServiceHealthRequest(), timeout=5)).busy:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        _, data = await train(stub, short, files)
    wanted = train_update(tiny, TrainOrder(spec, (), shard, 0, seed=9, settings=SETTINGS))
    assert data == wanted.update, "the cancelled training left something on the base"
    assert build_update_of(spec, 1) != data


def test_a_second_architecture_is_another_base(gpt2: LoadedModel, tiny: LoadedModel, tmp_path: Path) -> None:
    assert gpt2.digest != tiny.digest
    assert load_model(write_gpt2(tmp_path)).digest == gpt2.digest
