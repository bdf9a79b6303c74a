"""A store on disk: LevelDB by plyvel. Its errors become typed faults here and nowhere else.

After a write fails, what reached LevelDB's log is unknown, and writing on could bury the tear in the
middle of it; so the store then takes no further write until the folder is opened again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import plyvel

from flockchain.primitives.errors import Fault
from flockchain.primitives.limits import MIB
from flockchain.storage.disk import DataDamaged, DiskFailed, DiskFull, FolderLocked
from flockchain.storage.lock import DataFolderLock

__all__ = ["LevelStore"]

_WRITE_BUFFER_BYTES: Final = 16 * MIB
_CACHE_BYTES: Final = 32 * MIB
_BLOOM_BITS: Final = 10
_FULL_SIGNS: Final = ("No space left", "Disk quota exceeded", "File too large")
_LOCK_SIGNS: Final = ("already held by process", "lock ")
_DAMAGE_SIGNS: Final = ("Corruption", "corrupt", "checksum mismatch", "missing files", "No such file")


class _FrozenLevel:
    """A LevelDB snapshot: files that it needs stay until it is closed."""

    def __init__(self, store: LevelStore, snapshot: Any) -> None:
        self._store = store
        self._snapshot = snapshot

    def get(self, key: bytes) -> bytes | None:
        with self._store.level_faults():
            value: bytes | None = self._snapshot.get(key, verify_checksums=True)
        return value

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        with self._store.level_faults():
            entries = self._snapshot.iterator(prefix=prefix, verify_checksums=True)
        return self._store.read(entries)

    def close(self) -> None:
        self._snapshot.close()


class LevelStore:
    """`Store` in a folder of its own. One process, one instance: `FolderLocked` for any other.

    LevelDB's own lock is not enough: a second opening in the same process fails, and loses the lock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed = False
        self._lock = DataFolderLock(path)
        try:
            with self.level_faults():
                self._db: Any = plyvel.DB(
                    str(path),
                    create_if_missing=True,
                    paranoid_checks=True,
                    write_buffer_size=_WRITE_BUFFER_BYTES,
                    lru_cache_size=_CACHE_BYTES,
                    bloom_filter_bits=_BLOOM_BITS,
                )
        except BaseException:
            self._lock.release()
            raise

    def get(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._db.get(key, verify_checksums=True)
        except (plyvel.Error, RuntimeError) as error:
            raise self._translate(error) from error
        return value

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        with self.level_faults():
            entries = self._db.iterator(prefix=prefix, verify_checksums=True)
        return self.read(entries)

    def freeze(self) -> _FrozenLevel:
        with self.level_faults():
            return _FrozenLevel(self, self._db.snapshot())

    def write(self, puts: Mapping[bytes, bytes | None], *, sync: bool) -> None:
        if self._failed:
            raise Fault("the store failed to write before and takes nothing more", path=self._path)
        try:
            with self._db.write_batch(transaction=True, sync=sync) as batch:
                for key, value in puts.items():
                    if value is None:
                        batch.delete(key)
                    else:
                        batch.put(key, value)
        except (plyvel.Error, RuntimeError) as error:
            self._failed = True
            raise self._translate(error) from error

    def close(self) -> None:
        self._db.close()
        self._lock.release()

    def read(self, entries: Any) -> Iterator[tuple[bytes, bytes]]:
        """Everything that a LevelDB iterator gives; it is closed at the end."""
        with entries, self.level_faults():
            yield from entries

    @contextmanager
    def level_faults(self) -> Iterator[None]:
        """Turn what plyvel raises inside the block into a typed fault."""
        try:
            yield
        except (plyvel.Error, RuntimeError) as error:
            raise self._translate(error) from error

    def _translate(self, error: Exception) -> Fault:
        """The fault for what plyvel raised."""
        detail = error.args[0] if error.args else ""
        reason = detail.decode("utf-8", "replace").strip() if isinstance(detail, bytes) else str(error)
        if isinstance(error, plyvel.CorruptionError):
            return DataDamaged("the database is damaged", path=self._path, reason=reason)
        if isinstance(error, plyvel.Error):
            if any(sign in reason for sign in _FULL_SIGNS):
                return DiskFull("the disk is full", path=self._path, reason=reason)
            if any(sign in reason for sign in _LOCK_SIGNS):
                return FolderLocked("another process uses this database", path=self._path, reason=reason)
            if any(sign in reason for sign in _DAMAGE_SIGNS):
                return DataDamaged("the database is damaged", path=self._path, reason=reason)
            return DiskFailed("the database failed", path=self._path, reason=reason)
        return Fault("the store is closed", path=self._path, reason=reason)
