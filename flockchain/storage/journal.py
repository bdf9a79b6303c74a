"""An append-only file of records that are on disk before `append` returns: what was signed, what was promised.

    file   = "FLOCKJNL" ‖ u32 version ‖ record*
    record = u32 length ‖ u32 CRC of the length ‖ first 16 bytes of SHA-256(payload) ‖ payload

A crash in the middle of an append leaves a torn last record, which never was promised to anyone: it is
dropped at open. Anything else that does not add up is damage, and a `DataDamaged` fault: a vote guard
that forgot a vote would be worse than a node that does not start. Knows nothing of what records mean.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from flockchain.primitives.errors import Fault, invariant
from flockchain.primitives.limits import MIB
from flockchain.storage.disk import DataDamaged, disk_faults, make_folder, replace_file, write_all

__all__ = ["RECORD_BYTES_MAX", "Journal"]

RECORD_BYTES_MAX: Final = 8 * MIB
_MAGIC: Final = b"FLOCKJNL" + (1).to_bytes(4, "big")
_CHECK_BYTES: Final = 16
_HEAD_BYTES: Final = 8 + _CHECK_BYTES


class Journal:
    """Records in the order in which they were appended. One writer: the holder of the data folder's lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed = False
        make_folder(path.parent)
        with disk_faults(path):
            is_new = not path.exists()
        if is_new:
            replace_file(path, _MAGIC)
        self._descriptor: int | None = None
        self._records: list[bytes] = []
        self._open()

    @property
    def size_bytes(self) -> int:
        """The length of the file, for deciding when to compact."""
        return self._end

    def records(self) -> tuple[bytes, ...]:
        """Every record, oldest first."""
        return tuple(self._records)

    def append(self, record: bytes) -> None:
        """Add one record; it is on disk when this returns. After a failure the journal takes nothing more."""
        invariant(len(record) <= RECORD_BYTES_MAX, "a journal record is too long", record_bytes=len(record))
        descriptor = self._require_usable()
        framed = _frame(record)
        try:
            with disk_faults(self._path):
                os.lseek(descriptor, self._end, os.SEEK_SET)
                write_all(descriptor, framed)
                os.fdatasync(descriptor)
        except Fault:
            # What a failed write or sync left behind is unknown; only opening the file again can tell.
            self._failed = True
            with suppress(OSError):
                os.ftruncate(descriptor, self._end)
            raise
        self._end += len(framed)
        self._records.append(record)

    def rewrite(self, records: Iterable[bytes]) -> None:
        """Replace all records at once: after a failure or crash the old ones are there, or the new ones."""
        self._require_usable()
        kept = list(records)
        for record in kept:
            invariant(len(record) <= RECORD_BYTES_MAX, "a journal record is too long", record_bytes=len(record))
        replace_file(self._path, _MAGIC + b"".join(_frame(record) for record in kept))
        self.close()
        self._open()

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> None:
        with disk_faults(self._path):
            data = self._path.read_bytes()
            self._records, self._end = _parse(data, self._path)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            try:
                if self._end < len(data):
                    os.ftruncate(descriptor, self._end)
                    os.fsync(descriptor)
            except OSError:
                os.close(descriptor)
                raise
        self._descriptor = descriptor

    def _require_usable(self) -> int:
        if self._descriptor is None:
            raise Fault("the journal is closed", path=self._path)
        if self._failed:
            raise Fault("the journal failed before and takes nothing more", path=self._path)
        return self._descriptor


def _frame(record: bytes) -> bytes:
    length = len(record).to_bytes(4, "big")
    return length + zlib.crc32(length).to_bytes(4, "big") + sha256(record).digest()[:_CHECK_BYTES] + record


def _parse(data: bytes, path: Path) -> tuple[list[bytes], int]:
    """The records, and where the last whole one ends."""
    if not data.startswith(_MAGIC):
        raise DataDamaged("this file is not a journal of this version", path=path)
    records: list[bytes] = []
    offset, end = len(_MAGIC), len(data)
    while offset < end:
        head = data[offset : offset + _HEAD_BYTES]
        if len(head) < _HEAD_BYTES:
            break  # torn in its head
        if zlib.crc32(head[:4]) != int.from_bytes(head[4:8], "big"):
            if not any(data[offset:]):
                break  # the file grew, and nothing of the record reached the disk
            raise DataDamaged("a journal record's length is damaged", path=path, offset=offset)
        stop = offset + _HEAD_BYTES + int.from_bytes(head[:4], "big")
        record = data[offset + _HEAD_BYTES : stop]
        if stop > end or (stop == end and not _is_whole(head, record)):
            break  # torn: it is the last one, and not all of it is there
        if not _is_whole(head, record):
            raise DataDamaged("a journal record is damaged", path=path, offset=offset, end=end)
        records.append(record)
        offset = stop
    return records, offset


def _is_whole(head: bytes, record: bytes) -> bool:
    return sha256(record).digest()[:_CHECK_BYTES] == head[8:_HEAD_BYTES]
