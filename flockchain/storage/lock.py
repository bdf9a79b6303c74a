"""One process per data folder: two nodes with one set of keys would sign two things in one view.

The lock is the operating system's (flock) on a file that stays; it goes when its holder ends, however
it ends. The holder's process number in the file only serves the message.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final

from flockchain.storage.disk import FolderLocked, disk_faults, make_folder

__all__ = ["DataFolderLock"]

_NAME: Final = "holder"


class DataFolderLock:
    """Held from construction to `release`. Raises `FolderLocked` if another holder has the folder."""

    def __init__(self, path: Path) -> None:
        make_folder(path)
        file = path / _NAME
        with disk_faults(file):
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _lock(descriptor, path)
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
            except BaseException:
                os.close(descriptor)
                raise
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let the folder go; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> DataFolderLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise FolderLocked("another process uses this data folder", path=path, process=holder) from error
