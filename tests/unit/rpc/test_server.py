"""The server as a whole: health, reflection, limits, and errors that are one sentence."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any, NoReturn

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from flockchain.client import AsyncClient, Timing
from flockchain.client.errors import DeadlineExceeded, InvalidRequest, NodeBusy, NodeFailed, Unreachable
from flockchain.primitives.errors import Fault, InvalidInput, InvariantBroken, Refused
from flockchain.primitives.limits import API_EXTRINSICS_PER_CALL_MAX, API_MESSAGE_BYTES_MAX
from flockchain.rpc import ApiLimits, build_server
from flockchain.rpc.failures import LimitReached, NotThere, compute_status
from flockchain.rpc.heads import HeadBroadcast, SlowReader
from flockchain.rpc.server import PortTaken
from flockchain.runtime.pallets.staking import EpochUnknown
from flockchain.storage.blobs import BlobUnknown
from tests.kit.api_chain import ApiNode, ArchivedChain, serve

QUICK = Timing(deadline_ms=2_000, attempts=2, backoff_ms=10, poll_ms=10)
SERVICES = {
    "ChainService", "ExtrinsicService", "StateService", "TaskService", "RoundService", "UpdateService", "ModelService",
    "BlobService", "EventService",
}  # fmt: skip


@pytest.fixture
def node(tmp_path: Path) -> ApiNode:
    return ApiNode(ArchivedChain.open(), tmp_path)


async def test_every_service_is_healthy_and_described_by_reflection(node: ApiNode) -> None:
    async with serve(node) as endpoint, grpc.aio.insecure_channel(endpoint) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", *(f"flockchain.v1.{service}" for service in SERVICES)):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([ask]))
        answers = [answer async for answer in call]
    listed = {service.name for service in answers[0].list_services_response.service}
    assert {f"flockchain.v1.{service}" for service in SERVICES} <= listed


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("no"), grpc.StatusCode.INVALID_ARGUMENT),
        (EpochUnknown("no"), grpc.StatusCode.NOT_FOUND),
        (Refused("no"), grpc.StatusCode.FAILED_PRECONDITION),
        (NotThere("no"), grpc.StatusCode.NOT_FOUND),
        (BlobUnknown("no"), grpc.StatusCode.NOT_FOUND),
        (LimitReached("no"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (SlowReader("no"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (TimeoutError(), grpc.StatusCode.DEADLINE_EXCEEDED),
        (Fault("secret/path"), grpc.StatusCode.UNAVAILABLE),
        (InvariantBroken("secret"), grpc.StatusCode.INTERNAL),
        (KeyError("secret"), grpc.StatusCode.INTERNAL),
    ],
)
def test_each_family_of_error_has_its_status_and_tells_no_secret(error: Exception, code: grpc.StatusCode) -> None:
    status, sentence = compute_status(error)
    assert status is code
    assert sentence
    assert "secret" not in sentence


async def test_a_mistake_of_ours_is_one_sentence_for_the_caller_and_a_traceback_for_the_log(
    node: ApiNode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(*_: Any) -> NoReturn:
        raise KeyError("inner detail")

    monkeypatch.setattr(node, "prove", break_down)
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        with pytest.raises(NodeFailed) as caught:
            await client.state.prove(b"key")
        assert (await client.chain.get_status()).height == 0
    assert "inner detail" not in str(caught.value)
    assert "inner detail" in caplog.text


async def test_a_request_that_takes_too_long_is_ended(node: ApiNode, monkeypatch: pytest.MonkeyPatch) -> None:
    async def dawdle(_: bytes) -> NoReturn:
        await asyncio.sleep(60)
        raise AssertionError

    monkeypatch.setattr(node, "submit_extrinsic", dawdle)
    limits = ApiLimits(unary_deadline_ms=50)
    async with serve(node, limits) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        with pytest.raises(DeadlineExceeded):
            await client.extrinsics.submit_raw(b"raw")


async def test_oversized_requests_are_refused_and_the_server_goes_on(node: ApiNode) -> None:
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        with pytest.raises(InvalidRequest):
            await client.extrinsics.submit_batch([b"x"] * (API_EXTRINSICS_PER_CALL_MAX + 1))
        async with grpc.aio.insecure_channel(endpoint) as channel:
            submit = channel.unary_unary("/flockchain.v1.ExtrinsicService/SubmitExtrinsic", None, None)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await submit(bytes(API_MESSAGE_BYTES_MAX + 1))
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            with pytest.raises(grpc.aio.AioRpcError):
                await submit(b"\xff\xff not protobuf")
        assert (await client.chain.get_status()).height == 0


async def test_event_streams_are_bounded_in_number(node: ApiNode, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        node.ledger.heads = HeadBroadcast(subscribers_max=0)
        with pytest.raises(NodeBusy):
            await anext(aiter(client.events.subscribe()))


async def test_a_port_that_is_taken_is_a_typed_fault(node: ApiNode) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = build_server(node)
        with pytest.raises(PortTaken):
            await server.start(f"127.0.0.1:{taken.getsockname()[1]}")
        await server.stop(0)


async def test_a_server_that_stops_ends_open_streams_and_new_calls_fail_typed(node: ApiNode) -> None:
    async with AsyncClient("127.0.0.1:1", timing=QUICK) as nobody:
        with pytest.raises(Unreachable):
            await nobody.chain.get_status()
    async with serve(node) as endpoint:
        client = AsyncClient(endpoint, timing=QUICK)
        waiting = asyncio.create_task(collect(client))
        await asyncio.sleep(0.1)
    with pytest.raises(Unreachable):
        await waiting
    await client.close()


async def collect(client: AsyncClient) -> None:
    async for _ in client.events.subscribe():
        raise AssertionError("no block was made")
