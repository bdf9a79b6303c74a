"""Snapshots as files: one folder a snapshot, one file a chunk, and a file that says that the snapshot is whole.

A chunk's file appears whole or not at all, but it is not synced: after a power cut it may be damaged. Chunks that are
offered to others are synced together before the snapshot counts as whole; those that were fetched are proven again
before they are installed.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.numbers import Height
from flockchain.storage.disk import disk_faults, make_folder, replace_file, sync_folder, write_all
from flockchain.storage.snapshot import SNAPSHOT_INFO, SnapshotInfo

__all__ = ["FileShelf"]

_INFO: Final = "info"
_WHOLE: Final = "whole"
_CHUNK: Final = ".chunk"


class FileShelf:
    """`SnapshotShelf` in a folder of its own. One process; a thread may write one snapshot while others are read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        make_folder(folder)
        self._is_whole = self._read_all()

    def list_whole(self) -> tuple[SnapshotInfo, ...]:
        whole = [info for info, is_whole in tuple(self._is_whole.items()) if is_whole]
        return tuple(sorted(whole, key=lambda info: info.height))

    def find_partial(self) -> SnapshotInfo | None:
        partial = [info for info, is_whole in tuple(self._is_whole.items()) if not is_whole]
        return max(partial, key=lambda info: info.height, default=None)

    def list_chunks(self, info: SnapshotInfo) -> frozenset[int]:
        folder = self._get_folder(info.height)
        if info not in self._is_whole:
            return frozenset()
        with disk_faults(folder):
            stems = [file.stem for file in folder.glob(f"*{_CHUNK}")]
        return frozenset(int(stem) for stem in stems if stem.isdecimal() and int(stem) < info.chunk_count)

    def get_chunk(self, height: Height, index: int) -> bytes | None:
        folder = self._get_folder(height)
        return self._read(folder / f"{index}{_CHUNK}")

    def put_chunk(self, info: SnapshotInfo, index: int, data: bytes) -> None:
        folder = self._get_folder(info.height)
        if info not in self._is_whole:
            for other in [kept for kept in tuple(self._is_whole) if kept.height == info.height]:
                self.drop(other)
            make_folder(folder)
            replace_file(folder / _INFO, SNAPSHOT_INFO.encode(info))
            self._is_whole[info] = False
        _put_file(folder / f"{index}{_CHUNK}", data)

    def drop_chunk(self, info: SnapshotInfo, index: int) -> None:
        folder = self._get_folder(info.height)
        if info not in self._is_whole:
            return
        self._is_whole[info] = False
        with disk_faults(folder):
            (folder / _WHOLE).unlink(missing_ok=True)
            (folder / f"{index}{_CHUNK}").unlink(missing_ok=True)

    def finish(self, info: SnapshotInfo) -> None:
        folder = self._get_folder(info.height)
        with disk_faults(folder):
            for index in range(info.chunk_count):
                _sync_file(folder / f"{index}{_CHUNK}")
            sync_folder(folder)
        replace_file(folder / _WHOLE, b"")
        self._is_whole[info] = True

    def drop(self, info: SnapshotInfo) -> None:
        folder = self._get_folder(info.height)
        if self._is_whole.pop(info, None) is None:
            return
        with disk_faults(folder):
            with suppress(FileNotFoundError):
                (folder / _WHOLE).unlink()
            with suppress(FileNotFoundError):
                shutil.rmtree(folder)

    def _read_all(self) -> dict[SnapshotInfo, bool]:
        with disk_faults(self._folder):
            folders = [folder for folder in self._folder.iterdir() if folder.is_dir()]
        infos = [(self._read_info(folder), folder) for folder in folders]
        return {info: (folder / _WHOLE).exists() for info, folder in infos if info is not None}

    def _get_folder(self, height: Height) -> Path:
        return self._folder / str(height)

    def _read_info(self, folder: Path) -> SnapshotInfo | None:
        data = self._read(folder / _INFO)
        if data is None:
            return None
        try:
            info: SnapshotInfo = SNAPSHOT_INFO.decode(data)
        except InvalidInput:
            return None
        return info

    def _read(self, file: Path) -> bytes | None:
        with disk_faults(file):
            try:
                return file.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None


def _put_file(path: Path, data: bytes) -> None:
    """A file that is there whole or not at all, as long as the power stays."""
    draft = path.with_name(path.name + ".tmp")
    with disk_faults(path):
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            write_all(descriptor, data)
        finally:
            os.close(descriptor)
        os.replace(draft, path)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
