"""The disk's own failures as typed faults, and files that appear whole or not at all.

Everything in this floor that opens a file goes through here, so that a full disk is the same error
wherever it strikes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from flockchain.primitives.errors import Fault

__all__ = [
    "DataDamaged", "DiskFailed", "DiskFull", "FolderLocked", "disk_faults", "make_folder", "replace_file",
    "replace_file_with", "sync_folder", "write_all",
]  # fmt: skip

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class DiskFull(Fault):
    """There is no room (or no quota, or no allowed file size) left for what must be written."""


class DiskFailed(Fault):
    """The disk or the file system refused an operation."""


class DataDamaged(Fault):
    """What is on the disk is not what was written there."""


class FolderLocked(Fault):
    """Another process uses this data folder."""


@contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Turn an `OSError` inside the block into `DiskFull` or `DiskFailed`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull("the disk is full", path=path, reason=error.strerror) from error
        raise DiskFailed("the disk failed", path=path, reason=error.strerror or str(error)) from error


def make_folder(path: Path) -> None:
    """Create a folder and its parents, for this user only; an existing one is left as it is."""
    with disk_faults(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write every byte at the descriptor's position, however often the system writes fewer."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` at `path`, durably: after any failure or crash the old file or the new one is there, whole."""
    replace_file_with(path, lambda _: data)


def replace_file_with(path: Path, build: Callable[[int], bytes]) -> None:
    """Like `replace_file`, for content that depends on the new file: `build` is handed its open descriptor."""
    draft = path.with_name(path.name + ".tmp")
    with disk_faults(path):
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                write_all(descriptor, build(descriptor))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(draft, path)
            sync_folder(path.parent)
        except OSError:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
