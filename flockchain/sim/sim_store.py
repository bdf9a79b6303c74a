"""A store on a simulated disk, with LevelDB's contract: a batch is there whole or not at all, and in order.

A synced batch survives a crash, unless the disk lied; then the last ones are gone, newest first. A damaged value is
found when it is read. After a write that failed the store takes nothing more until it is opened again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from flockchain.primitives.errors import Fault
from flockchain.storage.disk import DataDamaged
from flockchain.storage.memory_store import MemoryStore

if TYPE_CHECKING:
    from flockchain.sim.sim_disk import SimDisk

__all__ = ["STORE_NAME", "Batches", "PowerLossError", "SimStore"]

STORE_NAME: Final = "chain"

_Undo = dict[bytes, bytes | None]


class PowerLossError(Exception):
    """The machine stopped in the middle of a write."""


class Batches:
    """What is on the disk of a store, and how to take the last batches back."""

    def __init__(self, disk: SimDisk) -> None:
        self.disk = disk
        self.memory = MemoryStore()
        self.damaged: set[bytes] = set()
        self._unsynced: list[_Undo] = []
        self._acknowledged: list[_Undo] = []  # by a lying disk

    @property
    def values(self) -> dict[bytes, bytes]:
        """Every entry."""
        return dict(self.memory.scan(b""))

    def write(self, puts: Mapping[bytes, bytes | None], *, is_synced: bool) -> None:
        """Take one batch."""
        disk = self.disk
        disk.require_able(STORE_NAME, is_growing=True)
        if disk.tear is None or disk.is_kept():
            undo = {key: self.memory.get(key) for key in puts} if disk.is_lying or not is_synced else {}
            self.memory.write(puts, sync=True)
            self.damaged -= puts.keys()
            if not is_synced:
                self._unsynced.append(undo)
            else:
                disk.syncs += 1
                self._acknowledged += [*self._unsynced, undo] if disk.is_lying else []
                self._unsynced.clear()
        if disk.tear is not None:
            raise PowerLossError

    def settle(self, losses: int) -> None:
        """After a crash unsynced batches may be gone, and the last `losses` that a lying disk acknowledged."""
        lost = self._unsynced if not self.disk.is_kept() or losses else []
        if losses and self._acknowledged:
            self.disk.lost_syncs += 1
            lost = self._acknowledged[-losses:] + lost
        for undo in reversed(lost):
            self.memory.write(undo, sync=True)
        self._unsynced.clear()
        self._acknowledged.clear()

    def restore(self, values: Mapping[bytes, bytes]) -> None:
        """Hold exactly these."""
        self.memory = MemoryStore()
        self.memory.write(values, sync=True)
        self.damaged.clear()
        self._unsynced.clear()
        self._acknowledged.clear()

    def flip(self, key: bytes) -> None:
        """One bit of a value changes at rest; its checksum tells whoever reads it."""
        self.damaged.add(key)


class SimStore:
    """`storage.store.Store` over the batches of a disk, for one process."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._is_closed = False
        self._failed = False

    def get(self, key: bytes) -> bytes | None:
        self._require_sound(key)
        return self._batches.memory.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(self._batches.damaged):
            if key.startswith(prefix):
                self._require_sound(key)
        self._require_open()
        return self._batches.memory.scan(prefix)

    def freeze(self) -> MemoryStore:
        self._require_open()
        return self._batches.memory.freeze()

    def write(self, puts: Mapping[bytes, bytes | None], *, sync: bool) -> None:
        self._require_open()
        if self._failed:
            raise Fault("the store failed to write before and takes nothing more", path=STORE_NAME)
        try:
            self._batches.write(puts, is_synced=sync)
        except Fault:
            self._failed = True
            raise

    def close(self) -> None:
        self._is_closed = True

    def _require_open(self) -> None:
        if self._is_closed:
            raise Fault("the store is closed", path=STORE_NAME)

    def _require_sound(self, key: bytes) -> None:
        self._require_open()
        if key in self._batches.damaged:
            raise DataDamaged("the database is damaged", path=STORE_NAME, reason="checksum mismatch")
