"""A node that answers a client with nonsense: every read of the SDK ends soon, with an answer or with a typed error.

The hostile node stands between the client and a real one and mutates the bytes of what that answers.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from flockchain.client import AsyncClient, Checkpoint, Timing
from flockchain.primitives.errors import FlockchainError
from flockchain.runtime.pallets.balances import Transfer
from flockchain.v1 import (
    blobs_pb2,
    chain_pb2,
    events_pb2,
    extrinsics_pb2,
    models_pb2,
    rounds_pb2,
    state_pb2,
    tasks_pb2,
    updates_pb2,
)
from tests.fuzz.mutators import mutate
from tests.kit.api_chain import build_learning_node, serve
from tests.kit.runtime_chain import get_account

SEED = 7
ROUNDS = 40
OPERATION_S = 10.0
SCORES = (900, -200, 40)
FILES = (
    chain_pb2, extrinsics_pb2, state_pb2, tasks_pb2, rounds_pb2, updates_pb2, models_pb2, blobs_pb2, events_pb2,
)  # fmt: skip
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


class HostileNode(grpc.GenericRpcHandler):
    """Hands requests on as they are, and answers back as bytes that it has changed (or not, now and then)."""

    def __init__(self, channel: grpc.aio.Channel, rng: random.Random) -> None:
        self._channel = channel
        self._rng = rng

    def service(self, details: Any) -> Any:
        method = METHODS.get(details.method)
        if method is None or method.client_streaming:
            return None
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(self._relay_stream(details.method))
        return grpc.unary_unary_rpc_method_handler(self._relay(details.method))

    def _relay(self, path: str) -> Any:
        async def answer(request: bytes, context: Any) -> bytes:
            try:
                return self._change(await self._channel.unary_unary(path)(request))
            except grpc.aio.AioRpcError as error:
                await context.abort(error.code(), error.details())

        return answer

    def _relay_stream(self, path: str) -> Any:
        async def answer(request: bytes, context: Any) -> AsyncIterator[bytes]:
            try:
                async for message in self._channel.unary_stream(path)(request):
                    yield self._change(message)
            except grpc.aio.AioRpcError as error:
                await context.abort(error.code(), error.details())

        return answer

    def _change(self, answer: bytes) -> bytes:
        return mutate(self._rng, (answer,)) if self._rng.random() < 0.7 else answer


@asynccontextmanager
async def open_hostile(endpoint: str, rng: random.Random) -> AsyncIterator[str]:
    server = grpc.aio.server()
    async with grpc.aio.insecure_channel(endpoint) as channel:
        server.add_generic_rpc_handlers((HostileNode(channel, rng),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await server.stop(0)


async def read_some(stream: AsyncIterator[Any], most: int = 30) -> None:
    count = 0
    async for _ in stream:
        count += 1
        if count == most:
            return


Operation = Callable[[AsyncClient], Awaitable[Any]]


def build_operations(
    blob: bytes, extrinsic_hash: bytes, key: bytes, genesis_hash: bytes, now_ms: int
) -> Mapping[str, Operation]:
    """The reads of the SDK by name, with things that the node has."""
    faucet = get_account("faucet")
    return {
        "status": lambda client: client.chain.get_status(),
        "block": lambda client: client.chain.get_block(2),
        "head": lambda client: client.chain.get_block(),
        "validators": lambda client: client.chain.get_validator_set(0),
        "header": lambda client: client.chain.get_header_proof(3),
        "light block": lambda client: client.chain.get_light_block(0),
        "metadata": lambda client: client.chain.get_metadata(),
        "genesis": lambda client: client.chain.get_genesis(),
        "value": lambda client: client.state.get(key),
        "proof": lambda client: client.state.prove(key, b"absent"),
        "scan": lambda client: read_some(client.state.scan(b""), 2_000),
        "account": lambda client: client.extrinsics.get_account(faucet),
        "extrinsic": lambda client: client.extrinsics.get(extrinsic_hash),
        "task": lambda client: client.tasks.get(0),
        "tasks": lambda client: client.tasks.list(),
        "round": lambda client: client.rounds.get(0),
        "lineage": lambda client: client.models.get_lineage(0),
        "blob": lambda client: client.blobs.get(blob),
        "events": lambda client: read_some(client.events.subscribe(after=0), 8),
        "verification": lambda client: client.models.verify(0, Checkpoint(genesis_hash), now_ms=now_ms),
    }


async def test_a_client_of_a_hostile_node_gets_an_answer_or_a_typed_error(tmp_path: Path) -> None:
    node, world = build_learning_node(tmp_path)
    world.submit_all()
    world.judge(SCORES)
    world.advance(world.build_certificate((0, 1, 2)))
    for data in world.blobs.values():
        node.blobs.put(data)
    chain = world.chain
    raw = chain.sign("account-5", "balances.transfer", Transfer(get_account("faucet"), 5))
    chain.advance(raw)
    rng = random.Random(SEED)
    operations = build_operations(
        next(iter(world.blobs)), chain.executive.check_extrinsic(raw).digest,
        next(iter(chain.store.scan(b"")))[0], chain.runtime.genesis_hash, chain.head.timestamp_ms,
    )  # fmt: skip
    outcomes: Counter[str] = Counter()
    timing = Timing(deadline_ms=2_000, stream_silence_ms=500, attempts=1, backoff_ms=1, poll_ms=1)
    async with serve(node) as endpoint, open_hostile(endpoint, rng) as hostile:
        for number in range(ROUNDS):
            for name, operation in operations.items():
                async with AsyncClient(hostile, timing=timing) as client:
                    try:
                        async with asyncio.timeout(OPERATION_S):
                            await operation(client)
                        outcomes["answers"] += 1
                    except FlockchainError as error:
                        str(error).encode("utf-8")
                        outcomes[type(error).__name__] += 1
                    except Exception as error:
                        pytest.fail(f"seed {SEED}, round {number}, {name}: {type(error).__name__}: {error}")
    assert outcomes["answers"] > ROUNDS
    assert outcomes["BrokenAnswer"] > ROUNDS
