"""An append-only file of records that are on disk before `append` returns: what was signed, what was promised.

    file   = "FLOCKJNL" ‖ u32 version ‖ id[16] ‖ identity[16] ‖ u64 first number ‖ u32 CRC of all that ‖ record*
    record = 0xF1 ‖ u32 length ‖ u32 zero sectors ‖ check[16] ‖ u32 CRC of the head ‖ 0x2F ‖ payload ‖ 0x1F

`check` is of the journal's random id, the record's number and the payload; the head's CRC covers id and number too, so
no record can stand in for another. One sync an append.

A crash in the middle of an append leaves a torn last record, which never was promised to anyone: it is dropped at open.
A disk writes sectors whole or not at all, and what lies behind the last record is nothing or zeros. So of a torn record
at least one sector is missing or all zeros that should not be: the marks see to it that its first and last sector never
are, and the head says how many others are. A record with all its sectors there and one of them wrong was damaged later,
be it the last one: that is `DataDamaged`, as is damage anywhere before. A vote guard that forgot a vote would be worse
than a node that does not start.

What cannot be told apart from a torn end: a file that was cut, or whose last sectors a disk lost or zeroed after it had
acknowledged them. Whoever keeps `mark` elsewhere learns of most of that (`journal_mark`). Knows nothing of what records
mean.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from flockchain.primitives.errors import Fault, invariant
from flockchain.primitives.limits import MIB
from flockchain.storage.disk import DataDamaged
from flockchain.storage.journal_mark import JournalMark
from flockchain.storage.record_file import ID_BYTES, SECTOR_BYTES, DiskRecordFile, RecordFile

__all__ = ["RECORD_BYTES_MAX", "Journal", "open_journal"]

RECORD_BYTES_MAX: Final = 8 * MIB
_MAGIC: Final = b"FLOCKJNL" + (2).to_bytes(4, "big")
_HEADER_BYTES: Final = len(_MAGIC) + 2 * ID_BYTES + 8 + 4
_CHECK_BYTES: Final = 16
_BEGIN, _BODY, _END = b"\xf1", b"\x2f", b"\x1f"
_HEAD_BYTES: Final = 1 + 4 + 4 + _CHECK_BYTES + 4 + 1
_WAY_OUT: Final = "move it away and start again: the node then follows without voting until an epoch begins"


class Journal:
    """Records in the order in which they were appended. One writer: the holder of the data folder's lock."""

    def __init__(self, file: RecordFile) -> None:
        self._file = file
        self._is_closed = False
        self._failed = False
        self.is_new = not file.exists()  # nothing was there: never written, or moved away
        self.dropped_bytes = 0  # of a torn record, at open
        if self.is_new:
            self._id = file.draw_id()
            file.replace(lambda identity: _build_header(self._id, identity, 0))
        self._records: list[bytes] = []
        try:
            self._open()
        except BaseException:
            file.close()
            raise

    @property
    def size_bytes(self) -> int:
        """The length of the file, for deciding when to compact."""
        return self._end

    @property
    def mark(self) -> JournalMark:
        """Which journal this is and how far it has come; rewriting never takes it back."""
        return JournalMark(self._id, self._first + len(self._records))

    @property
    def is_copy(self) -> bool:
        """Whether the file is not the one that this journal was written to."""
        return self._identity != self._file.identify()

    def records(self) -> tuple[bytes, ...]:
        """Every record, oldest first."""
        return tuple(self._records)

    def append(self, record: bytes) -> None:
        """Add one record; it is on disk when this returns. After a failure the journal takes nothing more."""
        self._require_fit(record)
        self._require_usable()
        framed = _frame(self._id, self._first + len(self._records), record, self._end)
        try:
            self._file.write_at(self._end, framed)
            self._file.sync()
        except Fault:
            # What a failed write or sync left behind is unknown; only opening the file again can tell.
            self._failed = True
            with suppress(Fault):
                self._file.truncate(self._end)
            raise
        self._end += len(framed)
        self._records.append(record)

    def rewrite(self, records: Iterable[bytes]) -> None:
        """Replace all records at once: after a failure or crash the old ones are there, or the new ones.

        A copy becomes a journal of its own right by this.
        """
        self._require_usable()
        kept = list(records)
        for record in kept:
            self._require_fit(record)
        number = self._first + len(self._records)
        self._file.replace(lambda identity: _build_file(self._id, identity, number, kept))
        self._open()

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        self._is_closed = True
        self._file.close()

    def _open(self) -> None:
        data, name = self._file.read_all(), self._file.name
        self._id, self._identity, self._first = _parse_header(data, name)
        self._records, self._end = _parse(data, self._id, self._first, name)
        self.dropped_bytes = len(data) - self._end
        if self.dropped_bytes:
            self._file.truncate(self._end)

    def _require_usable(self) -> None:
        if self._is_closed:
            raise Fault("the journal is closed", path=self._file.name)
        if self._failed:
            raise Fault("the journal failed before and takes nothing more", path=self._file.name)

    @staticmethod
    def _require_fit(record: bytes) -> None:
        invariant(len(record) <= RECORD_BYTES_MAX, "a journal record is too long", record_bytes=len(record))


def open_journal(path: Path) -> Journal:
    """The journal in a file of this machine's disk; an empty one if there is none."""
    return Journal(DiskRecordFile(path))


def _build_header(journal_id: bytes, identity: bytes, first: int) -> bytes:
    header = _MAGIC + journal_id + identity + first.to_bytes(8, "big")
    return header + zlib.crc32(header).to_bytes(4, "big")


def _build_file(journal_id: bytes, identity: bytes, first: int, records: Iterable[bytes]) -> bytes:
    out = bytearray(_build_header(journal_id, identity, first))
    for number, record in enumerate(records, first):
        out += _frame(journal_id, number, record, len(out))
    return bytes(out)


def _frame(journal_id: bytes, number: int, record: bytes, offset: int) -> bytes:
    check = _compute_check(journal_id, number, record)
    length, no_zeros = len(record).to_bytes(4, "big"), bytes(4)
    # The head itself never fills a sector, so what stands in it does not change the count.
    zeros = _count_zero_sectors(_BEGIN + length + no_zeros + check + no_zeros + _BODY + record + _END, offset)
    head = _BEGIN + length + zeros.to_bytes(4, "big") + check
    return head + _compute_crc(journal_id, number, head) + _BODY + record + _END


def _compute_check(journal_id: bytes, number: int, record: bytes) -> bytes:
    return sha256(journal_id + number.to_bytes(8, "big") + record).digest()[:_CHECK_BYTES]


def _compute_crc(journal_id: bytes, number: int, head: bytes) -> bytes:
    return zlib.crc32(journal_id + number.to_bytes(8, "big") + head).to_bytes(4, "big")


def _count_zero_sectors(data: bytes, offset: int) -> int:
    """How many of the sectors that `data` lies in, when it stands at `offset`, hold nothing but zeros of it."""
    count, start = 0, 0
    while start < len(data):
        stop = start + SECTOR_BYTES - (offset + start) % SECTOR_BYTES
        count += not any(data[start:stop])
        start = stop
    return count


def _parse_header(data: bytes, name: str) -> tuple[bytes, bytes, int]:
    """The journal's id, the identity of the file that it was written to, and the number of its first record."""
    header = data[:_HEADER_BYTES]
    if not header.startswith(_MAGIC):
        raise DataDamaged("this file is not a journal of this version", path=name, way_out=_WAY_OUT)
    if len(header) < _HEADER_BYTES or zlib.crc32(header[:-4]) != int.from_bytes(header[-4:], "big"):
        raise DataDamaged("the head of a journal is damaged", path=name, way_out=_WAY_OUT)
    at = len(_MAGIC)
    first = int.from_bytes(header[at + 2 * ID_BYTES : -4], "big")
    return header[at : at + ID_BYTES], header[at + ID_BYTES : at + 2 * ID_BYTES], first


def _parse(data: bytes, journal_id: bytes, first: int, name: str) -> tuple[list[bytes], int]:
    """The records, and where the last whole one ends."""
    records: list[bytes] = []
    offset, end = _HEADER_BYTES, len(data)
    while offset < end:
        number = first + len(records)
        length = _read_length(data, offset, journal_id, number)
        if length is None:
            if _is_head_torn(data, offset) and not _has_record(data, offset + 1, journal_id, number + 1):
                break
            raise DataDamaged("a journal record's head is damaged", path=name, offset=offset, way_out=_WAY_OUT)
        body = offset + _HEAD_BYTES
        stop = body + length + 1
        record = data[body : stop - 1]
        check = data[offset + 9 : offset + 9 + _CHECK_BYTES]
        is_whole = stop <= end and data[stop - 1 : stop] == _END
        if not is_whole or _compute_check(journal_id, number, record) != check:
            if _is_body_torn(data, offset, stop):
                break
            raise DataDamaged("a journal record is damaged", path=name, offset=offset, end=end, way_out=_WAY_OUT)
        records.append(record)
        offset = stop
    return records, offset


def _read_length(data: bytes, offset: int, journal_id: bytes, number: int) -> int | None:
    """How long the record is, if its head is whole."""
    head = data[offset : offset + _HEAD_BYTES]
    if len(head) < _HEAD_BYTES or head[:1] != _BEGIN or head[-1:] != _BODY:
        return None
    if _compute_crc(journal_id, number, head[:-5]) != head[-5:-1]:
        return None
    return int.from_bytes(head[1:5], "big")


def _is_head_torn(data: bytes, offset: int) -> bool:
    """Whether part of the head never reached the disk: the file ends in it, or a sector that it lies in is zeros."""
    head = data[offset : offset + _HEAD_BYTES]
    return len(head) < _HEAD_BYTES or _count_zero_sectors(head, offset) > 0


def _is_body_torn(data: bytes, offset: int, stop: int) -> bool:
    """Whether part of the record never reached the disk. Nothing follows a torn record: it was the last."""
    if any(data[stop:]):
        return False
    if stop > len(data):
        return True
    expected = int.from_bytes(data[offset + 5 : offset + 9], "big")
    return _count_zero_sectors(data[offset:stop], offset) > expected


def _has_record(data: bytes, start: int, journal_id: bytes, number: int) -> bool:
    """Whether the head of record `number` stands anywhere from `start` on."""
    while (start := data.find(_BEGIN, start)) >= 0:
        if _read_length(data, start, journal_id, number) is not None:
            return True
        start += 1
    return False
