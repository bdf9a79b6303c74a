"""Receives the files of a streamed order: announced first, then piece by piece, bounded and checked.

Nothing is decoded here. What breaks the contract of `learning.proto` is refused before more is read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.limits import BLOB_BYTES_MAX, CHUNK_BYTES, UPDATES_PER_ROUND_MAX
from flockchain.v1 import learning_pb2

__all__ = ["AttachmentRefused", "File", "Files", "receive_files", "stream_pieces"]

ATTACHMENTS_MAX: Final = 4 * UPDATES_PER_ROUND_MAX
TOTAL_BYTES_MAX: Final = 4 * BLOB_BYTES_MAX


class AttachmentRefused(InvalidInput):
    """A stream whose files are not the ones that were announced."""


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

    def get_all(self, role: int) -> tuple[File, ...]:
        """All files of a role."""
        return tuple(file for file in self._files if file.role == role)

    def require_one(self, role: int) -> bytes:
        """The only file of a role."""
        found = self.get_all(role)
        if len(found) != 1:
            name = learning_pb2.AttachmentRole.Name(role)
            raise AttachmentRefused("an order has exactly one file of this role", role=name, got=len(found))
        return found[0].data


async def receive_files(announced: Iterable[Any], pieces: AsyncIterator[Any]) -> Files:
    """Read every announced attachment from `pieces`, never more. Raises `AttachmentRefused`."""
    attachments = tuple(announced)
    _require_announcement(attachments)
    files = [await _receive_file(attachment, pieces) for attachment in attachments]
    async for piece in pieces:
        raise AttachmentRefused("a piece of nothing that was announced", role=piece.role, index=piece.index)
    return Files(files)


def stream_pieces(role: int, index: int, data: bytes) -> Iterable[Any]:
    """One file as pieces of at most 256 KiB."""
    for offset in range(0, len(data), CHUNK_BYTES):
        yield learning_pb2.Piece(role=role, index=index, offset=offset, data=data[offset : offset + CHUNK_BYTES])  # type: ignore[arg-type]


def _require_announcement(attachments: tuple[Any, ...]) -> None:
    if len(attachments) > ATTACHMENTS_MAX:
        raise AttachmentRefused("too many attachments", most=ATTACHMENTS_MAX, got=len(attachments))
    total = sum(attachment.size_bytes for attachment in attachments)
    if total > TOTAL_BYTES_MAX or any(not 0 < item.size_bytes <= BLOB_BYTES_MAX for item in attachments):
        raise AttachmentRefused("attachments are empty or too large", most=TOTAL_BYTES_MAX, got=total)
    places = {(attachment.role, attachment.index) for attachment in attachments}
    if len(places) != len(attachments):
        raise AttachmentRefused("an attachment is announced twice", attachments=len(attachments))


async def _receive_file(attachment: Any, pieces: AsyncIterator[Any]) -> File:
    received = bytearray()
    while len(received) < attachment.size_bytes:
        piece = await anext(pieces, None)
        if piece is None:
            raise AttachmentRefused("the stream ends in the middle of a file", index=attachment.index)
        if (piece.role, piece.index, piece.offset) != (attachment.role, attachment.index, len(received)):
            raise AttachmentRefused("a piece is out of order", index=piece.index, offset=piece.offset)
        if not 0 < len(piece.data) <= min(CHUNK_BYTES, attachment.size_bytes - len(received)):
            raise AttachmentRefused("a piece is empty or too large", most=CHUNK_BYTES, got=len(piece.data))
        received += piece.data
    data = bytes(received)
    if sha256(data).digest() != attachment.digest:
        raise AttachmentRefused(
            "a file is not the one that was announced", role=attachment.role, index=attachment.index
        )
    return File(attachment.role, attachment.index, data)
