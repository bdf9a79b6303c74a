"""The few things that a journal does to a file, and how they are done on a real disk.

A host that simulates its disk hands a journal another `RecordFile`; the journal's own code is the same. Knows
nothing of records. Every failure of the medium is a `DiskFull` or `DiskFailed`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from flockchain.primitives.errors import Fault
from flockchain.storage.disk import disk_faults, make_folder, replace_file_with, write_all

__all__ = ["ID_BYTES", "SECTOR_BYTES", "DiskRecordFile", "RecordFile"]

ID_BYTES: Final = 16
SECTOR_BYTES: Final = 512  # the least that a disk writes whole or not at all

_GET_GENERATION: Final = 0x80087601  # FS_IOC_GETVERSION: a number that a file system gives each new inode


class RecordFile(Protocol):
    """One file, opened by `read_all` or `replace`, released by `close`. One writer."""

    @property
    def name(self) -> str:
        """Which file this is, for messages."""
        ...

    def exists(self) -> bool:
        """Whether the file is there."""
        ...

    def read_all(self) -> bytes:
        """Everything in the file."""
        ...

    def write_at(self, offset: int, data: bytes) -> None:
        """Put `data` at `offset`; it is on disk after the next `sync`."""
        ...

    def sync(self) -> None:
        """On return everything that was written is on disk."""
        ...

    def truncate(self, length: int) -> None:
        """Cut the file to `length`, durably."""
        ...

    def replace(self, build: Callable[[bytes], bytes]) -> None:
        """Make the file's whole content `build(identity of the new file)`: after a crash it is the old or the new."""
        ...

    def identify(self) -> bytes:
        """ID_BYTES that differ between a file and its copies, as far as the file system tells them apart."""
        ...

    def draw_id(self) -> bytes:
        """ID_BYTES that nobody has drawn before."""
        ...

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        ...


class DiskRecordFile:
    """`RecordFile` on this machine's disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        make_folder(path.parent)

    @property
    def name(self) -> str:
        return str(self._path)

    def exists(self) -> bool:
        with disk_faults(self._path):
            return self._path.exists()

    def read_all(self) -> bytes:
        with disk_faults(self._path):
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            return self._path.read_bytes()

    def write_at(self, offset: int, data: bytes) -> None:
        descriptor = self._require_open()
        with disk_faults(self._path):
            os.lseek(descriptor, offset, os.SEEK_SET)
            write_all(descriptor, data)

    def sync(self) -> None:
        descriptor = self._require_open()
        with disk_faults(self._path):
            os.fdatasync(descriptor)

    def truncate(self, length: int) -> None:
        descriptor = self._require_open()
        with disk_faults(self._path):
            os.ftruncate(descriptor, length)
            os.fsync(descriptor)

    def replace(self, build: Callable[[bytes], bytes]) -> None:
        replace_file_with(self._path, lambda descriptor: build(_identify(descriptor)))
        self.close()
        with disk_faults(self._path):
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)

    def identify(self) -> bytes:
        descriptor = self._require_open()
        with disk_faults(self._path):
            return _identify(descriptor)

    def draw_id(self) -> bytes:
        return os.urandom(ID_BYTES)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _require_open(self) -> int:
        if self._descriptor is None:
            raise Fault("the file is closed", path=self._path)
        return self._descriptor


def _identify(descriptor: int) -> bytes:
    """The inode and, where the file system tells it, its generation.

    Not the device: its number may be another one when the machine starts again.
    """
    generation = b""
    with suppress(OSError):
        generation = fcntl.ioctl(descriptor, _GET_GENERATION, bytes(8))
    inode = os.fstat(descriptor).st_ino.to_bytes(8, "big")
    return sha256(b"file identity" + inode + generation).digest()[:ID_BYTES]
