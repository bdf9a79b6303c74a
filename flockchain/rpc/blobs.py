"""BlobService: resumable transfers; each chunk is checked against the blob's root before it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc.aio

from flockchain.primitives.errors import InvalidInput, Refused
from flockchain.primitives.numbers import HASH_BYTES, Hash, TaskId
from flockchain.primitives.rounds import TaskStatus
from flockchain.rpc.backend import ChainBackend
from flockchain.rpc.uploads import UploadDesk
from flockchain.runtime import learning_views
from flockchain.storage.blobs import PartialBlob, compute_chunk_count
from flockchain.v1 import blobs_pb2
from flockchain.v1.blobs_pb2_grpc import BlobServiceServicer

__all__ = ["BlobPrivate", "BlobService"]

_SILENCE_S: Final = 30  # an upload that sends nothing for so long is ended; what it brought stays

Context = grpc.aio.ServicerContext[Any, Any]


class BlobPrivate(Refused):
    """The suite of a task under way is given to validators only."""


class BlobService(BlobServiceServicer):
    """The node's blob store, as far as it is public."""

    def __init__(self, backend: ChainBackend, desk: UploadDesk) -> None:
        self._backend = backend
        self._blobs = backend.blobs
        self._desk = desk

    async def HasChunks(  # noqa: N802
        self, request: blobs_pb2.HasChunksRequest, context: Context
    ) -> blobs_pb2.HasChunksResponse:
        root = _require_root(request.root)
        if self._blobs.has(root):
            return blobs_pb2.HasChunksResponse(complete=True, size_bytes=self._blobs.size(root))
        missing = self._desk.get_missing(root, request.size_bytes) if request.size_bytes else ()
        return blobs_pb2.HasChunksResponse(missing=_build_ranges(missing), size_bytes=request.size_bytes)

    async def UploadBlob(  # noqa: N802
        self, request: AsyncIterator[blobs_pb2.UploadBlobRequest], context: Context
    ) -> blobs_pb2.UploadBlobResponse:
        messages = aiter(request)
        header = (await _read(messages, "an upload starts with a header")).header
        root, task = _require_root(header.root), TaskId(header.task) if header.HasField("task") else None
        if self._blobs.has(root):
            return blobs_pb2.UploadBlobResponse(complete=True)
        self._desk.require_allowed(root, header.size_bytes, task)
        upload = self._desk.open(root, header.size_bytes, task)
        partial: PartialBlob | None = None
        stored = 0
        try:
            while not self._blobs.has(root):
                chunk = (await _read(messages, "the upload ends before the blob is complete")).chunk
                async with upload.lock:
                    if self._blobs.has(root):
                        break  # another stream brought the rest
                    partial = self._blobs.open_partial(root, header.size_bytes)
                    partial.put_chunk(chunk.index, chunk.data, tuple(chunk.audit_path))
                    stored += 1
                    if not partial.missing_chunks:
                        await asyncio.to_thread(partial.finish)
        finally:
            self._desk.close(upload, partial)
        return blobs_pb2.UploadBlobResponse(complete=True, chunks_stored=stored)

    async def DownloadBlob(  # noqa: N802
        self, request: blobs_pb2.DownloadBlobRequest, context: Context
    ) -> AsyncIterator[blobs_pb2.DownloadBlobResponse]:
        root = _require_root(request.root)
        size_bytes = self._blobs.size(root)
        if self._is_private(root):
            raise BlobPrivate("the suite of a task under way is given to validators only", blob=root)
        chunks = compute_chunk_count(size_bytes)
        if request.from_chunk > chunks:
            raise InvalidInput("the blob has fewer chunks", wanted=request.from_chunk, chunks=chunks)
        for index in range(request.from_chunk, chunks):
            data, path = self._blobs.read_chunk(root, index)
            chunk = blobs_pb2.Chunk(index=index, data=data, audit_path=path)
            yield blobs_pb2.DownloadBlobResponse(size_bytes=size_bytes, chunk=chunk)

    def _is_private(self, root: Hash) -> bool:
        records = learning_views.list_tasks(self._backend.chain.state)
        return any(record.status is TaskStatus.OPEN and record.spec.suite_blob == root for record in records)


async def _read(messages: AsyncIterator[blobs_pb2.UploadBlobRequest], otherwise: str) -> blobs_pb2.UploadBlobRequest:
    try:
        return await asyncio.wait_for(anext(messages), _SILENCE_S)
    except StopAsyncIteration:
        raise InvalidInput(otherwise) from None


def _require_root(root: bytes) -> Hash:
    if len(root) != HASH_BYTES:
        raise InvalidInput("a blob's root has 32 bytes", got=len(root))
    return Hash(root)


def _build_ranges(indexes: tuple[int, ...]) -> list[blobs_pb2.ChunkRange]:
    """Runs of consecutive indexes."""
    ranges: list[blobs_pb2.ChunkRange] = []
    for index in indexes:
        if ranges and ranges[-1].last + 1 == index:
            ranges[-1].last = index
        else:
            ranges.append(blobs_pb2.ChunkRange(first=index, last=index))
    return ranges
