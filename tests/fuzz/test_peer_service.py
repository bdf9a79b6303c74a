"""The service that peers connect to against nonsense: streams end, calls get a documented status, the others stay."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor

from flockchain.crypto.hashing import sha256
from flockchain.node.blob_exchange import BlobExchange
from flockchain.node.certificates import issue_identity
from flockchain.node.grpc_streams import open_channel
from flockchain.node.handshake import LocalPeer, build_hello, encode_handshake
from flockchain.primitives.numbers import Hash, NodeId
from flockchain.storage.blobs import BlobStore
from flockchain.v1 import peer_pb2
from tests.fuzz.mutators import mutate
from tests.fuzz.requests import Vocabulary, build_request_bytes, find_methods
from tests.kit.peers import GENESIS, Station, run_station, wait_until

SEED = 8
STREAMS = 40
CALL_S = 5.0
SERVICE = peer_pb2.DESCRIPTOR.services_by_name["PeerService"]
METHODS = find_methods(SERVICE)
# UNAVAILABLE only where gRPC itself ends a stream that the node has closed.
DOCUMENTED = {
    grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNAVAILABLE,
}  # fmt: skip


class OpenGate:
    """Everybody may read everything."""

    def is_readable(self, root: Hash, caller: NodeId | None) -> bool:
        return True


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    """A transport that serves one blob, with a peer connected to it."""
    store = BlobStore(tmp_path / "blobs")
    store.put(b"blob" * 100_000)
    async with (
        run_station("listener", blobs=BlobExchange(store, OpenGate())) as listener,
        run_station("friend", listener.address) as friend,
    ):
        await wait_until(lambda: friend.node_id in listener.ear.connected)
        yield listener


def build_streams(rng: random.Random, method: MethodDescriptor) -> list[bytes]:
    """Raw requests: frames with a hello that is good, mutated or missing, and noise."""
    hello = encode_handshake(build_hello(_build_stranger(), Hash(sha256(rng.randbytes(4)))))
    vocabulary = Vocabulary((0, 1, 2, 2**32 - 1), (hello, bytes(32), b"\x00\x00\x00\x05hello", b"\xff" * 8))
    if not method.client_streaming:
        return [build_request_bytes(rng, method, vocabulary)]
    first = peer_pb2.Frame(payload=hello if rng.random() < 0.5 else mutate(rng, (hello,))).SerializeToString()
    return [first, *(build_request_bytes(rng, method, vocabulary) for _ in range(rng.randint(0, 3)))]


async def call(channel: grpc.aio.Channel, method: MethodDescriptor, requests: list[bytes]) -> grpc.StatusCode:
    path = f"/{SERVICE.full_name}/{method.name}"
    running: Any
    if method.client_streaming:
        running = channel.stream_stream(path)(iter(requests), timeout=CALL_S)
    else:
        running = channel.unary_stream(path)(requests[0], timeout=CALL_S)
    try:
        async for _ in running:
            pass
    except grpc.aio.AioRpcError as error:
        code, details = error.code(), error.details() or ""
        if code is grpc.StatusCode.INTERNAL and "SendMessageOperation" in error.debug_error_string():
            return code  # said by our own end: it was still writing when the node had closed the stream
        if code not in DOCUMENTED or "Traceback" in details:
            pytest.fail(f"{code.name}: {details}")
        return code
    return grpc.StatusCode.OK


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_nonsense_ends_its_stream_and_no_other(method: MethodDescriptor, station: Station) -> None:
    rng = random.Random(f"{SEED}/{method.name}")
    codes: Counter[grpc.StatusCode] = Counter()
    for number in range(STREAMS):
        channel = open_channel(station.address, issue_identity(GENESIS))
        requests = build_streams(rng, method)
        try:
            codes[await call(channel, method, requests)] += 1
        except pytest.fail.Exception as error:
            shown = "\n".join(request.hex() for request in requests)
            pytest.fail(f"seed {SEED}, stream {number} of {method.name}: {error}\n{shown}")
        finally:
            with suppress(asyncio.CancelledError):
                await channel.close(None)
    assert sum(codes.values()) == STREAMS
    assert station.ear.gone == []
    async with run_station("newcomer", station.address) as newcomer:
        await wait_until(lambda: newcomer.node_id in station.ear.connected)


def _build_stranger() -> LocalPeer:
    return LocalPeer(GENESIS, NodeId(sha256(b"stranger")), sha256(b"seed"), bytes(16), Hash(bytes(32)), "")
