"""`client.blobs`: resumable transfers of content-addressed bytes; every chunk is checked on both sides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc.aio

from flockchain.client.errors import BrokenAnswer, Unreachable, build_error, is_worth_retrying
from flockchain.client.transport import Link, Transport
from flockchain.crypto.merkle import (
    compute_audit_path_of_hashes,
    compute_leaf_hash,
    compute_root_of_hashes,
    verify_audit_path,
)
from flockchain.primitives.errors import FlockchainError, InvalidInput
from flockchain.primitives.limits import BLOB_BYTES_MAX, CHUNK_BYTES
from flockchain.primitives.numbers import Hash, TaskId
from flockchain.v1 import blobs_pb2
from flockchain.v1.blobs_pb2_grpc import BlobServiceStub

__all__ = ["Blobs", "compute_root_of_bytes"]

_UPLOAD_BYTES_PER_MS = 64  # slowest upload that is not given up


class Blobs:
    """Uploads to one node or to all, and downloads from any."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def put(self, data: bytes, *, task: TaskId | int | None = None) -> Hash:
        """Upload to every node of the client that can be reached; at least one must take it. Returns the root.

        What a node has already is not sent again. `task` names the task that the bytes are an update for; without
        it they are a suite for a task to be created. Raises the last error when no node took it.
        """
        if len(data) > BLOB_BYTES_MAX:
            raise InvalidInput("a blob is larger than the chain allows", most=BLOB_BYTES_MAX, got=len(data))
        outcomes = await asyncio.gather(
            *(self.put_at(link, data, task=task) for link in self._transport.links), return_exceptions=True
        )
        roots = [outcome for outcome in outcomes if isinstance(outcome, bytes)]
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and (not roots or not isinstance(outcome, FlockchainError)):
                raise outcome
        return Hash(roots[0])

    async def put_at(self, link: Link, data: bytes, *, task: TaskId | int | None = None) -> Hash:
        """Upload to one node, going on where an earlier attempt broke off."""
        leaves = [compute_leaf_hash(data[at : at + CHUNK_BYTES]) for at in range(0, len(data), CHUNK_BYTES)]
        root = compute_root_of_hashes(leaves)
        header = blobs_pb2.UploadHeader(root=root, size_bytes=len(data), task=task)
        for attempt in range(self._transport.timing.attempts):
            missing = await self._get_missing(link, root, len(data))
            if missing is None:
                return root
            try:
                await self._upload(link, header, data, leaves, missing)
                return root
            except grpc.aio.AioRpcError as error:
                if not is_worth_retrying(error) or attempt + 1 == self._transport.timing.attempts:
                    raise build_error(error, link.endpoint) from None
            await asyncio.sleep((self._transport.timing.backoff_ms << attempt) / 1000)
        raise Unreachable("the upload broke off every time", endpoint=link.endpoint)

    async def has(self, root: Hash | bytes) -> bool:
        """Whether the node in use holds all of a blob."""
        message = await self._transport.call(
            lambda used: used.get(BlobServiceStub).HasChunks, blobs_pb2.HasChunksRequest(root=root)
        )
        return message.complete

    async def get(self, root: Hash | bytes, *, most_bytes: int = BLOB_BYTES_MAX) -> bytes:
        """Download from the node in use, or the rest from the next one; the bytes have this root.

        Raises `NotFound` when no node has it, `BrokenAnswer` when a chunk does not belong to the root.
        """
        received = bytearray()
        failure: FlockchainError = Unreachable("no node was asked")
        for attempt in range(max(self._transport.timing.attempts, len(self._transport.links))):
            link = self._transport.link
            try:
                await self._download(link, bytes(root), received, most_bytes)
                return bytes(received)
            except FlockchainError as error:
                failure = error
                self._transport.change_link(link)
            if attempt + 1 >= len(self._transport.links) and not isinstance(failure, Unreachable):
                break
            await asyncio.sleep((self._transport.timing.backoff_ms << attempt) / 1000)
        raise failure

    async def _get_missing(self, link: Link, root: Hash, size_bytes: int) -> list[int] | None:
        """Indexes of the chunks that the node lacks; None when it holds the whole blob."""
        message = await self._transport.call(
            lambda used: used.get(BlobServiceStub).HasChunks,
            blobs_pb2.HasChunksRequest(root=root, size_bytes=size_bytes), link=link,
        )  # fmt: skip
        if message.complete:
            return None
        chunks = _count_chunks(size_bytes)
        missing: list[int] = []
        for span in message.missing:
            if not (missing[-1] if missing else -1) < span.first <= span.last < chunks:
                raise BrokenAnswer("the node lacks chunks in no order", first=span.first, last=span.last, chunks=chunks)
            missing.extend(range(span.first, span.last + 1))
        return missing

    async def _upload(
        self, link: Link, header: blobs_pb2.UploadHeader, data: bytes, leaves: list[Hash], missing: list[int]
    ) -> None:
        async def send() -> AsyncIterator[blobs_pb2.UploadBlobRequest]:
            yield blobs_pb2.UploadBlobRequest(header=header)
            for index in missing:
                chunk = data[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
                path = compute_audit_path_of_hashes(leaves, index)
                yield blobs_pb2.UploadBlobRequest(chunk=blobs_pb2.Chunk(index=index, data=chunk, audit_path=path))

        deadline_ms = self._transport.timing.stream_silence_ms + len(data) // _UPLOAD_BYTES_PER_MS
        answer = await link.get(BlobServiceStub).UploadBlob(send(), timeout=deadline_ms / 1000)
        if not answer.complete:
            raise BrokenAnswer("the node kept less than was sent", root=header.root, stored=answer.chunks_stored)

    async def _download(self, link: Link, root: bytes, received: bytearray, most_bytes: int) -> None:
        """Append verified chunks to `received`, from where it ends."""
        start = len(received) // CHUNK_BYTES
        request = blobs_pb2.DownloadBlobRequest(root=root, from_chunk=start)
        call = link.get(BlobServiceStub).DownloadBlob(request)
        size_bytes: int | None = None
        stream = self._transport.read_stream(call, link, self._transport.timing.stream_silence_ms)
        async for message in stream:
            size_bytes = message.size_bytes if size_bytes is None else size_bytes
            if message.size_bytes != size_bytes or size_bytes > most_bytes:
                raise BrokenAnswer("a blob has not the size it should have", got=message.size_bytes, most=most_bytes)
            if not message.HasField("chunk"):
                continue
            _require_chunk(message.chunk, root, len(received) // CHUNK_BYTES, size_bytes)
            received += message.chunk.data
        if size_bytes is None or len(received) != size_bytes:
            raise Unreachable("the download broke off", endpoint=link.endpoint, got=len(received), of=size_bytes)
        if not received and compute_root_of_bytes(b"") != root:
            raise BrokenAnswer("the node says that the blob is empty", root=root)


def compute_root_of_bytes(data: bytes) -> Hash:
    """The RFC 6962 root over the 256 KiB chunks of `data`: its name as a blob."""
    chunks = range(0, len(data), CHUNK_BYTES)
    return compute_root_of_hashes([compute_leaf_hash(data[at : at + CHUNK_BYTES]) for at in chunks])


def _require_chunk(chunk: blobs_pb2.Chunk, root: bytes, index: int, size_bytes: int) -> None:
    wanted = min(CHUNK_BYTES, size_bytes - index * CHUNK_BYTES)
    if chunk.index != index or len(chunk.data) != wanted:
        raise BrokenAnswer("a chunk is out of place", wanted=index, got=chunk.index, bytes=len(chunk.data))
    if not verify_audit_path(chunk.data, index, _count_chunks(size_bytes), tuple(chunk.audit_path), root):
        raise BrokenAnswer("a chunk does not belong to the blob", index=index, root=root)


def _count_chunks(size_bytes: int) -> int:
    return -(-size_bytes // CHUNK_BYTES)
