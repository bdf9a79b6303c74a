"""Every method of a node's API against nonsense: a typed status or an answer, the server stands, the state stays."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.learning import Phase
from flockchain.runtime.pallets.balances import Transfer
from flockchain.v1 import (
    blobs_pb2,
    chain_pb2,
    chain_pb2_grpc,
    events_pb2,
    extrinsics_pb2,
    models_pb2,
    rounds_pb2,
    state_pb2,
    tasks_pb2,
    updates_pb2,
)
from tests.fuzz.requests import Vocabulary, build_request_bytes, find_methods
from tests.kit.api_chain import ApiNode, build_learning_node, serve
from tests.kit.runtime_chain import get_account

SEED = 5
REQUESTS = 300
STREAM_MESSAGES_MAX = 4
CALL_S = 10.0
STREAM_S = 0.2  # for a stream that has nothing to say until a block is final
FILES = (
    chain_pb2, extrinsics_pb2, state_pb2, tasks_pb2, rounds_pb2, updates_pb2, models_pb2, blobs_pb2, events_pb2,
)  # fmt: skip
METHODS = [
    method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in find_methods(service)
]
# What the API documents: see `flockchain.rpc.failures`.
DOCUMENTED = {
    grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED,
}  # fmt: skip
ANSWERS_FOREVER = {"Subscribe"}  # a stream that goes on is an answer


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[tuple[ApiNode, str]]:
    """A node in mid-round with a blob and a waiting extrinsic, and its endpoint."""
    node, world = build_learning_node(tmp_path)
    world.submit_all()
    world.advance_to(Phase.COMMIT)
    node.blobs.put(b"a blob" * 100_000)
    async with serve(node) as endpoint:
        yield node, endpoint


def build_vocabulary(node: ApiNode) -> Vocabulary:
    """Hashes, keys and heights that this node knows."""
    block = node.chain.get_block(node.ledger.height)
    assert block is not None
    transfer = node.ledger.sign("account-5", "balances.transfer", Transfer(get_account("faucet"), 5))
    keys = [key for key, _ in node.chain.state.scan(b"")][::40]
    words = [
        compute_block_hash(block.header), get_account("faucet"), transfer, *node.blobs.roots(), *keys,
        b"s" * 257, b"\xff" * 32,
    ]  # fmt: skip
    return Vocabulary((0, 1, 2, 3, node.ledger.height, node.ledger.height + 1, 600_000, 2**63, 2**64 - 1), words)


async def call(channel: grpc.aio.Channel, method: MethodDescriptor, requests: list[bytes]) -> grpc.StatusCode:
    """Send raw bytes to a method and read what it answers, to its end or until it goes on for too long."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    answer_type = GetMessageClass(method.output_type)
    shape = (
        ("stream" if method.client_streaming else "unary") + "_" + ("stream" if method.server_streaming else "unary")
    )
    invoke = getattr(channel, shape)(path, response_deserializer=answer_type.FromString)
    running: Any = invoke(
        iter(requests) if method.client_streaming else requests[0],
        timeout=STREAM_S if method.name in ANSWERS_FOREVER else CALL_S,
    )
    try:
        if method.server_streaming:
            async for answer in running:
                assert isinstance(answer, answer_type)
                if method.name in ANSWERS_FOREVER:
                    running.cancel()
                    return grpc.StatusCode.OK
        else:
            assert isinstance(await running, answer_type)
    except grpc.aio.AioRpcError as error:
        code, details = error.code(), error.details() or ""
        if method.name in ANSWERS_FOREVER and code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return grpc.StatusCode.OK  # it waits for a block that does not come
        if code not in DOCUMENTED or "Traceback" in details:
            pytest.fail(f"{code.name}: {details}")
        return code
    return grpc.StatusCode.OK


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.containing_service.name}.{method.name}")
async def test_a_method_answers_nonsense_with_a_documented_status(
    method: MethodDescriptor, node: tuple[ApiNode, str]
) -> None:
    served, endpoint = node
    rng = random.Random(f"{SEED}/{method.full_name}")
    vocabulary = build_vocabulary(served)
    before = (served.ledger.height, served.ledger.tree.root)
    codes: Counter[grpc.StatusCode] = Counter()
    count = REQUESTS // 10 if method.name in ANSWERS_FOREVER else REQUESTS
    async with grpc.aio.insecure_channel(endpoint) as channel:
        for number in range(count):
            messages = rng.randint(0, STREAM_MESSAGES_MAX) if method.client_streaming else 1
            requests = [build_request_bytes(rng, method, vocabulary) for _ in range(messages)]
            try:
                codes[await call(channel, method, requests)] += 1
            except (AssertionError, pytest.fail.Exception) as error:
                shown = "\n".join(request.hex() for request in requests)
                pytest.fail(f"seed {SEED}, request {number} of {method.full_name}: {error}\n{shown}")
        status = await chain_pb2_grpc.ChainServiceStub(channel).GetStatus(chain_pb2.GetStatusRequest())
    assert (served.ledger.height, served.ledger.tree.root) == before
    assert (status.height, status.state_root) == before
    assert sum(codes.values()) == count
    assert len(asyncio.all_tasks()) < 200


def test_every_service_of_the_node_is_among_them() -> None:
    from flockchain.rpc import server

    fuzzed = {method.containing_service.name for method in METHODS}
    assert fuzzed == set(server._SERVICES)
