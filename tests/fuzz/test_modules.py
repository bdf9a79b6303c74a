"""The evaluator's and the trainer's services against nonsense: a documented status or an answer, and they stand."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from flockchain.primitives.learning import ADAPTER_SPEC, AdapterMode
from flockchain.v1 import evaluator_pb2, trainer_pb2
from flockchain_ml.data import DOMAINS, generate_shard
from flockchain_ml.models import LoadedModel, get_tiny_folder, load_model
from flockchain_ml.worker.evaluator_service import add_evaluator
from flockchain_ml.worker.trainer_service import TrainerConfig, add_trainer
from tests.fuzz.mutators import mutate
from tests.fuzz.requests import Vocabulary, build_request_bytes, find_methods
from tests.kit.learning_modules import (
    build_evaluation,
    build_job,
    build_spec_for,
    build_training,
    iterate_pieces,
    open_channel,
    run_module,
)

SEED = 6
REQUESTS = 300
CALL_S = 20.0
DOCUMENTED = {
    grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED,
}  # fmt: skip
FILES = (evaluator_pb2, trainer_pb2)
METHODS = [
    method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in find_methods(service)
]


@pytest.fixture(scope="module")
def tiny() -> LoadedModel:
    return load_model(get_tiny_folder())


def add_modules(loaded: LoadedModel) -> Callable[[Any], None]:
    def add(server: Any) -> None:
        add_evaluator(server, loaded)
        add_trainer(server, loaded, TrainerConfig({"local": generate_shard(DOMAINS, 1, 10, 20, seed=3)}))

    return add


@pytest.fixture
async def channel(tiny: LoadedModel) -> AsyncIterator[grpc.aio.Channel]:
    async with run_module(add_modules(tiny)) as address, open_channel(address) as line:
        yield line


def build_good_streams(loaded: LoadedModel) -> dict[str, list[Message]]:
    """A whole good stream for each method that takes one."""
    spec = build_spec_for(loaded, AdapterMode.FFA)
    order, files = build_evaluation(build_job(loaded, spec))
    request = evaluator_pb2.EvaluatorServiceEvaluateRequest
    evaluate: list[Message] = [request(order=order), *(request(piece=piece) for piece in iterate_pieces(files))]
    training, files = build_training(loaded, spec)
    training.settings.steps = 1
    wish = trainer_pb2.TrainerServiceTrainRequest
    return {
        "Evaluate": evaluate,
        "Train": [wish(order=training), *(wish(piece=piece) for piece in iterate_pieces(files))],
    }


def build_requests(
    rng: random.Random, method: MethodDescriptor, vocabulary: Vocabulary, streams: dict[str, list[Message]]
) -> list[bytes]:
    """Random requests, or a good stream with one of its messages mutated, doubled or left out."""
    good = streams.get(method.name)
    if good is None:
        return [build_request_bytes(rng, method, vocabulary)]
    if rng.random() < 0.3:
        return [build_request_bytes(rng, method, vocabulary) for _ in range(rng.randint(0, 4))]
    requests = [message.SerializeToString() for message in good]
    at = rng.randrange(len(requests))
    change = rng.randrange(3)
    if change == 0:
        requests[at] = mutate(rng, (requests[at],))
    elif change == 1:
        requests.insert(at, requests[at])
    else:
        del requests[at]
    return requests


async def call(channel: grpc.aio.Channel, method: MethodDescriptor, requests: list[bytes]) -> grpc.StatusCode:
    path = f"/{method.containing_service.full_name}/{method.name}"
    answer_type = GetMessageClass(method.output_type)
    try:
        if not method.client_streaming:
            invoke = channel.unary_unary(path, response_deserializer=answer_type.FromString)
            assert isinstance(await invoke(requests[0], timeout=CALL_S), answer_type)
            return grpc.StatusCode.OK
        stream = channel.stream_stream(path, response_deserializer=answer_type.FromString)
        async for answer in stream(iter(requests), timeout=CALL_S):
            assert isinstance(answer, answer_type)
    except grpc.aio.AioRpcError as error:
        code, details = error.code(), error.details() or ""
        if code not in DOCUMENTED or "Traceback" in details:
            pytest.fail(f"{code.name}: {details}")
        return code
    return grpc.StatusCode.OK


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.containing_service.name}.{method.name}")
async def test_a_method_answers_nonsense_with_a_documented_status(
    method: MethodDescriptor, tiny: LoadedModel, channel: grpc.aio.Channel
) -> None:
    rng = random.Random(f"{SEED}/{method.full_name}")
    spec = ADAPTER_SPEC.encode(build_spec_for(tiny, AdapterMode.FFA))
    vocabulary = Vocabulary((0, 1, 2, 10, 2**63), (tiny.digest, spec, b'{"answer":"4","prompt":"2+2"}\n', bytes(32)))
    streams = build_good_streams(tiny)
    codes: Counter[grpc.StatusCode] = Counter()
    for number in range(REQUESTS):
        requests = build_requests(rng, method, vocabulary, streams)
        try:
            codes[await call(channel, method, requests)] += 1
        except (AssertionError, pytest.fail.Exception) as error:
            pytest.fail(f"seed {SEED}, request {number} of {method.full_name}: {error}")
    assert sum(codes.values()) == REQUESTS
    if method.name in streams:
        good = [message.SerializeToString() for message in streams[method.name]]
        assert await call(channel, method, good) is grpc.StatusCode.OK
