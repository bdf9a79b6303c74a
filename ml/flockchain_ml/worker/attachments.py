"""Receives the files of a streamed order: announced first, then piece by piece, bounded and checked.

Nothing is decoded here. What breaks the contract of `learning.proto` is refused before more is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from flockchain.primitives.errors import InvalidInput, Refused
from flockchain.primitives.limits import CHUNK_BYTES
from flockchain.v1 import learning_pb2

__all__ = ["AttachmentRefused", "File", "Files", "StreamSilent", "receive_files", "receive_next", "stream_pieces"]

SILENCE_LIMIT_MS: Final = 30_000  # between two messages of a request stream


class AttachmentRefused(InvalidInput):
    """A stream whose files are not the ones that were announced."""


class StreamSilent(Refused):
    """Whoever opened a stream sends nothing more and does not end it."""


@dataclass(frozen=True, slots=True)
class File:
    """One received file. `role` is the number of `AttachmentRole`."""

    role: int
    index: int
    data: bytes


class Files:
    """The files of an order, by role, in the order of their announcement."""

    def __init__(self, files: Iterable[File]) -> None:
        self._files = tuple(files)

    def get_all(self, role: int) -> tuple[bytes, ...]:
        """The bytes of all files of a role."""
        return tuple(file.data for file in self._files if file.role == role)

    def get_indexes(self, role: int) -> tuple[int, ...]:
        """The announced positions of a role's files."""
        return tuple(file.index for file in self._files if file.role == role)

    def require_one(self, role: int) -> bytes:
        """The only file of a role."""
        found = self.get_all(role)
        if len(found) != 1:
            name = learning_pb2.AttachmentRole.Name(role)
            raise AttachmentRefused("an order has exactly one file of this role", role=name, got=len(found))
        return found[0]


async def receive_files(
    announced: Iterable[Any], pieces: AsyncIterator[Any], on_piece: Callable[[], Awaitable[None]] | None = None
) -> Files:
    """Read every announced attachment from `pieces`, never more. The announcement has been checked by the caller.

    Raises `AttachmentRefused`, `StreamSilent`.
    """
    files = [await _receive_file(attachment, pieces, on_piece) for attachment in announced]
    extra = await receive_next(pieces)
    if extra is not None:
        raise AttachmentRefused("a piece of nothing that was announced", role=extra.role, index=extra.index)
    return Files(files)


async def receive_next(messages: AsyncIterator[Any]) -> Any:
    """The next message of a request stream, None at its end. Raises `StreamSilent`."""
    try:
        return await asyncio.wait_for(anext(messages, None), SILENCE_LIMIT_MS / 1000)
    except TimeoutError as error:
        raise StreamSilent("the stream has gone silent", limit_ms=SILENCE_LIMIT_MS) from error


def stream_pieces(role: int, index: int, data: bytes) -> Iterable[Any]:
    """One file as pieces of at most 256 KiB."""
    for offset in range(0, len(data), CHUNK_BYTES):
        yield learning_pb2.Piece(role=role, index=index, offset=offset, data=data[offset : offset + CHUNK_BYTES])  # type: ignore[arg-type]


async def _receive_file(
    attachment: Any, pieces: AsyncIterator[Any], on_piece: Callable[[], Awaitable[None]] | None
) -> File:
    parts: list[bytes] = []
    received, digest = 0, sha256()
    while received < attachment.size_bytes:
        piece = await receive_next(pieces)
        if piece is None:
            raise AttachmentRefused("the stream ends in the middle of a file", index=attachment.index, got=received)
        if (piece.role, piece.index, piece.offset) != (attachment.role, attachment.index, received):
            raise AttachmentRefused("a piece is out of order", index=piece.index, offset=piece.offset)
        if not 0 < len(piece.data) <= min(CHUNK_BYTES, attachment.size_bytes - received):
            raise AttachmentRefused("a piece is empty or too large", most=CHUNK_BYTES, got=len(piece.data))
        parts.append(piece.data)
        digest.update(piece.data)
        received += len(piece.data)
        if on_piece is not None:
            await on_piece()
    if digest.digest() != attachment.digest:
        raise AttachmentRefused(
            "a file is not the one that was announced", role=attachment.role, index=attachment.index
        )
    return File(attachment.role, attachment.index, b"".join(parts))
