"""Bytes that are no message, from an evaluator and from a peer with a blob: a typed failure, and on with the next."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from flockchain.node import blob_exchange
from flockchain.node.blob_exchange import BlobExchange
from flockchain.node.certificates import TlsIdentity, issue_identity
from flockchain.node.config import EvaluatorConfig
from flockchain.node.evaluators import EvaluatorClient
from flockchain.node.handshake import RemotePeer
from flockchain.primitives.numbers import Hash, NodeId
from flockchain.storage.blobs import BlobStore, compute_blob_root
from flockchain.v1 import peer_pb2
from tests.kit.peers import GENESIS, wait_until

NOISE = b"\xff\xff\xff"


@asynccontextmanager
async def serve_noise(service: str, *methods: str) -> AsyncIterator[str]:
    """A server whose unary methods of `service` answer noise."""

    async def answer(request: bytes, context: Any) -> bytes:
        return NOISE

    server = grpc.aio.server()
    handlers = {method: grpc.unary_unary_rpc_method_handler(answer) for method in methods}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@asynccontextmanager
async def serve_stream(service: str, method: str, answer: bytes) -> AsyncIterator[str]:
    """A server whose one method streams one answer."""

    async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield answer

    server = grpc.aio.server()
    handlers = {method: grpc.unary_stream_rpc_method_handler(stream)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


class OpenGate:
    """Everybody may read everything."""

    def is_readable(self, root: Hash, caller: NodeId | None) -> bool:
        return True


@pytest.mark.parametrize("methods", [("Describe",), ("Describe", "Health")])
async def test_an_evaluator_that_answers_noise_is_not_ready_and_is_looked_at_again(methods: tuple[str, ...]) -> None:
    heard: list[tuple[bool, str]] = []
    async with serve_noise("flockchain.v1.EvaluatorService", *methods) as address:
        client = EvaluatorClient(EvaluatorConfig(address), lambda is_ready, reason: heard.append((is_ready, reason)))
        await client.start()
        try:
            await wait_until(lambda: bool(heard))
            assert heard == [(False, "the evaluator's answer is no message")]
            assert client._watch is not None
            assert not client._watch.done()
        finally:
            await client.stop()


@dataclass
class Neighbourhood:
    """The peers that an exchange may ask, and what it says of them."""

    peers: list[RemotePeer]
    identity: TlsIdentity
    blamed: list[NodeId] = field(default_factory=list)

    def penalise(self, peer: NodeId, reason: str) -> None:
        self.blamed.append(peer)


async def test_a_peer_whose_chunks_are_noise_is_blamed_and_the_next_one_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob_exchange, "open_channel", lambda address, identity: grpc.aio.insecure_channel(address))
    data = b"a blob"
    root = compute_blob_root(data)
    chunk = peer_pb2.FetchBlobResponse(index=0, data=data, audit_path=(), size_bytes=len(data)).SerializeToString()
    service = "flockchain.v1.PeerService"
    async with serve_stream(service, "FetchBlob", NOISE) as bad, serve_stream(service, "FetchBlob", chunk) as good:
        peers = [RemotePeer(NodeId(bytes([at]) * 32), bytes(16), Hash(bytes(32)), address) for at, address in
                 enumerate((bad, good))]  # fmt: skip
        neighbourhood = Neighbourhood(peers, issue_identity(GENESIS))
        for attempt in range(6):  # the order is drawn; one of these begins with the bad one, all but surely
            store = BlobStore(tmp_path / str(attempt))
            exchange = BlobExchange(store, OpenGate())
            exchange.connect(neighbourhood)  # type: ignore[arg-type]
            await exchange.fetch(root, len(data))
            assert store.read(root) == data
    assert set(neighbourhood.blamed) <= {peers[0].node_id}
