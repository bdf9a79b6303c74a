"""Blobs from and for peers: fetched over connections of their own, verified chunk by chunk, resumed where they broke.

A blob's name is the root over its chunks, so it does not matter who serves it: what does not fit is not kept, and the
peer that sent it is blamed. Evaluation suites are served to validators only (`BlobGate`). Knows peers and the blob
store; does not know what a blob is for.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

import grpc
import grpc.aio

from flockchain.node.grpc_streams import open_channel
from flockchain.node.transport import Transport
from flockchain.primitives.errors import FlockchainError, Refused
from flockchain.primitives.limits import BLOB_BYTES_MAX
from flockchain.primitives.numbers import Hash, NodeId
from flockchain.storage.blobs import BlobIncomplete, BlobPresent, BlobStore, InvalidBlob, InvalidChunk, PartialBlob
from flockchain.v1 import peer_pb2, peer_pb2_grpc

__all__ = ["BlobExchange", "BlobExchangeConfig", "BlobGate", "BlobNotFound"]

_END: Final[Any] = vars(grpc.aio)["EOF"]


class BlobNotFound(Refused):
    """No connected peer gave us the whole blob."""


class BlobGate(Protocol):
    """Who may read what."""

    def is_readable(self, root: Hash, caller: NodeId | None) -> bool: ...


@dataclass(frozen=True, slots=True)
class BlobExchangeConfig:
    """How many transfers at once, and how long one may stand still."""

    fetches_max: int = 4
    streams_max: int = 16
    streams_per_caller_max: int = 4
    stall_ms: int = 10_000


class BlobExchange:
    """Both directions, on one event loop."""

    def __init__(self, blobs: BlobStore, gate: BlobGate, config: BlobExchangeConfig | None = None) -> None:
        self._blobs = blobs
        self._gate = gate
        self._config = config or BlobExchangeConfig()
        self._transport: Transport | None = None
        self._fetches = asyncio.Semaphore(self._config.fetches_max)
        self._under_way: dict[Hash, asyncio.Task[None]] = {}
        self._streams: Counter[NodeId | None] = Counter()

    def connect(self, transport: Transport) -> None:
        """Use the peers of `transport`."""
        self._transport = transport

    async def fetch(self, root: Hash, size_bytes: int) -> None:
        """Get a blob into the store, asking each peer once. Raises `BlobNotFound`, `InvalidBlob` or a disk's fault.

        What arrived before a failure stays, and the next attempt goes on from there.
        """
        if self._blobs.has(root):
            return
        task = self._under_way.get(root)
        if task is None:
            task = asyncio.create_task(self._fetch(root, size_bytes))
            self._under_way[root] = task
            task.add_done_callback(lambda _: self._under_way.pop(root, None))
        await asyncio.shield(task)

    async def serve(self, request: Any, context: Any, caller: NodeId | None) -> AsyncIterator[Any]:
        """Answer `FetchBlob`: every chunk from the one asked for, with its audit path."""
        root = Hash(request.root)
        if not self._gate.is_readable(root, caller):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "this blob is for validators only")
        if not self._blobs.has(root):
            await context.abort(grpc.StatusCode.NOT_FOUND, "the blob is not here")
        if (
            self._streams.total() >= self._config.streams_max
            or self._streams[caller] >= self._config.streams_per_caller_max
        ):
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many transfers")
        self._streams[caller] += 1
        try:
            size_bytes = self._blobs.size(root)
            index = request.from_chunk
            while True:
                try:
                    chunk, path = self._blobs.read_chunk(root, index)
                except InvalidChunk:
                    return  # past the last one
                yield peer_pb2.FetchBlobResponse(index=index, data=chunk, audit_path=path, size_bytes=size_bytes)
                index += 1
        except FlockchainError as error:
            await context.abort(grpc.StatusCode.INTERNAL, error.sentence)
        finally:
            self._streams[caller] -= 1

    async def stop(self) -> None:
        """Give up what is under way; what arrived stays."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch(self, root: Hash, size_bytes: int) -> None:
        if not 0 < size_bytes <= BLOB_BYTES_MAX:
            raise InvalidBlob("no blob has this size", size_bytes=size_bytes, most=BLOB_BYTES_MAX)
        async with self._fetches:
            for peer, address in self._list_sources():
                if self._blobs.has(root):
                    return  # an upload was faster
                await self._fetch_from(peer, address, root, size_bytes)
        if not self._blobs.has(root):
            raise BlobNotFound("no peer gave us the whole blob", root=root, size_bytes=size_bytes)

    def _list_sources(self) -> list[tuple[NodeId, str]]:
        """The peers that say where they listen, in random order."""
        peers = () if self._transport is None else self._transport.peers
        sources = [(peer.node_id, peer.address) for peer in peers if peer.address]
        secrets.SystemRandom().shuffle(sources)
        return sources

    async def _fetch_from(self, peer: NodeId, address: str, root: Hash, size_bytes: int) -> None:
        """Take from one peer what it gives; whatever goes wrong on its side ends this and nothing else."""
        transport = self._transport
        if transport is None:
            return
        channel = open_channel(address, transport.identity)
        kept: PartialBlob | None = None
        try:
            stub: Any = peer_pb2_grpc.PeerServiceStub(channel)
            if self._blobs.has_partial(root, size_bytes):  # an earlier attempt broke
                kept = self._blobs.open_partial(root, size_bytes)
            first = next(iter(kept.missing_chunks), 0) if kept is not None else 0
            call = stub.FetchBlob(peer_pb2.FetchBlobRequest(root=root, from_chunk=first))
            while not self._blobs.has(root):
                reply = await asyncio.wait_for(call.read(), self._config.stall_ms / 1000)
                if reply is _END:
                    return
                if reply is None:  # bytes that are no message
                    raise InvalidChunk("a peer sent no chunk but noise", root=root)
                kept = self._keep(root, size_bytes, reply)
        except InvalidChunk as error:
            transport.penalise(peer, str(error))
        except (grpc.aio.AioRpcError, TimeoutError, BlobPresent):
            return
        finally:
            if kept is not None and not self._blobs.has(root):
                kept.close()
            await channel.close(None)

    def _keep(self, root: Hash, size_bytes: int, reply: Any) -> PartialBlob:
        """Keep one chunk, and finish the blob with the last. It is opened anew each time: an upload may share it."""
        partial = self._blobs.open_partial(root, size_bytes)
        partial.put_chunk(reply.index, reply.data, tuple(reply.audit_path))
        if not partial.missing_chunks:
            with suppress(BlobIncomplete):  # what was kept earlier did not add up; another source fills it again
                partial.finish()
        return partial
