"""The disk of one simulated node: files and a store that survive crashes as a good disk lets them, or as a bad one.

A crash keeps what was synced. Of a write that was not, each sector is there or not. A lying disk acknowledges a sync
and loses it in the next crash. A full or failing disk refuses, and a bit may flip at rest. Everything is drawn from the
disk's own randomness. Knows nothing of records or blocks.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256

from flockchain.primitives.errors import Fault
from flockchain.sim.sim_store import Batches, PowerLossError, SimStore
from flockchain.storage.disk import DiskFailed, DiskFull
from flockchain.storage.record_file import ID_BYTES, SECTOR_BYTES

__all__ = ["DiskImage", "PowerLossError", "SimDisk", "SimFile", "Tear"]

_LOST_SYNCS_MAX = 3


class Tear(Enum):
    """What a crash leaves of the write that it strikes."""

    NOTHING = "none of it"
    SOME = "some of its sectors"
    ALL = "all of it, not acknowledged"


@dataclass(slots=True)
class _Content:
    """One file's bytes as a process sees them, and how to get back to what is on the platter."""

    data: bytearray
    identity: int
    unsynced: list[tuple[int, bytes]] = field(default_factory=list)  # offset, and what stood there
    acknowledged: list[int] = field(default_factory=list)  # lengths before syncs that a lying disk acknowledged


@dataclass(frozen=True, slots=True)
class DiskImage:
    """A copy of a whole disk."""

    files: dict[str, bytes]
    store: dict[bytes, bytes]


class SimDisk:
    """Files by name and one store. `rng` is this disk's alone."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.is_full = False
        self.is_failing = False
        self.is_lying = False
        self.tear: Tear | None = None  # while the power goes: what becomes of the next write
        self.writes = 0  # that were asked for, of any kind
        self.syncs = 0
        self.lost_syncs = 0
        self.store = Batches(self)
        self._files: dict[str, _Content] = {}
        self._identities = 0

    def open_file(self, name: str) -> SimFile:
        """A file, which need not exist yet."""
        return SimFile(self, name)

    def open_store(self) -> SimStore:
        """The store, as a process opens it."""
        return SimStore(self.store)

    def crash(self) -> None:
        """The process or the machine ends: what was not synced may be gone."""
        losses = self.rng.randint(1, _LOST_SYNCS_MAX) if self.is_lying else 0
        for name in sorted(self._files):
            self._settle(self._files[name], losses)
        self.store.settle(losses)
        self.tear, self.is_lying = None, False

    def heal(self) -> None:
        """From now on a good disk, with room."""
        self.is_full = self.is_failing = self.is_lying = False

    def remove(self, name: str) -> None:
        """Move a file away."""
        self._files.pop(name, None)

    def flip(self, name: str, position: int, bit: int) -> None:
        """One bit changes at rest."""
        self._files[name].data[position] ^= 1 << bit

    def read(self, name: str) -> bytes:
        """What a file holds."""
        return bytes(self._files[name].data)

    def copy(self) -> DiskImage:
        """An image of everything as processes see it."""
        files = {name: bytes(content.data) for name, content in self._files.items()}
        return DiskImage(files, dict(self.store.values))

    def restore(self, image: DiskImage) -> None:
        """Put an image back, file by file: each is a new one."""
        self._files = {name: self.build_content(data) for name, data in image.files.items()}
        self.store.restore(image.store)

    # What files do

    def build_content(self, data: bytes) -> _Content:
        self._identities += 1
        return _Content(bytearray(data), self._identities)

    def find(self, name: str) -> _Content | None:
        return self._files.get(name)

    def put(self, name: str, content: _Content) -> None:
        self._files[name] = content

    def require_able(self, name: str, *, is_growing: bool) -> None:
        """Refuse a write as a bad disk does."""
        self.writes += 1
        if self.is_failing:
            raise DiskFailed("the disk failed", path=name, reason="Input/output error")
        if self.is_full and is_growing:
            raise DiskFull("the disk is full", path=name, reason="No space left on device")

    def is_kept(self) -> bool:
        """Whether something that was not synced is there after the crash."""
        if self.tear is Tear.SOME:
            return self.rng.randrange(2) == 0
        return self.tear is Tear.ALL

    def _settle(self, content: _Content, losses: int) -> None:
        for offset, before in content.unsynced:
            start = offset
            while start < offset + len(before):
                stop = min(start + SECTOR_BYTES - start % SECTOR_BYTES, offset + len(before))
                if not self.is_kept():
                    content.data[start:stop] = before[start - offset : stop - offset]
                start = stop
        content.unsynced.clear()
        if losses and content.acknowledged:
            self.lost_syncs += 1
            del content.data[content.acknowledged[-min(losses, len(content.acknowledged))] :]
        content.acknowledged.clear()


class SimFile:
    """`storage.record_file.RecordFile` on a simulated disk."""

    def __init__(self, disk: SimDisk, name: str) -> None:
        self._disk = disk
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def exists(self) -> bool:
        return self._disk.find(self._name) is not None

    def read_all(self) -> bytes:
        return bytes(self._require().data)

    def write_at(self, offset: int, data: bytes) -> None:
        content = self._require()
        self._disk.require_able(self._name, is_growing=offset + len(data) > len(content.data))
        grown = max(0, offset + len(data) - len(content.data))
        content.data.extend(bytes(grown))
        content.unsynced.append((offset, bytes(content.data[offset : offset + len(data)])))
        content.data[offset : offset + len(data)] = data

    def sync(self) -> None:
        content = self._require()
        if self._disk.tear is not None:
            raise PowerLossError
        self._disk.require_able(self._name, is_growing=False)
        self._disk.syncs += 1
        if self._disk.is_lying:
            content.acknowledged += [offset for offset, _ in content.unsynced]
        content.unsynced.clear()

    def truncate(self, length: int) -> None:
        content = self._require()
        self._disk.require_able(self._name, is_growing=False)
        del content.data[length:]
        content.unsynced.clear()

    def replace(self, build: Callable[[bytes], bytes]) -> None:
        self._disk.require_able(self._name, is_growing=True)
        content = self._disk.build_content(b"")
        content.data += build(_encode_identity(content))
        if self._disk.tear is None or self._disk.is_kept():
            self._disk.put(self._name, content)
        if self._disk.tear is not None:
            raise PowerLossError

    def identify(self) -> bytes:
        return _encode_identity(self._require())

    def draw_id(self) -> bytes:
        return self._disk.rng.randbytes(ID_BYTES)

    def close(self) -> None:
        return

    def _require(self) -> _Content:
        content = self._disk.find(self._name)
        if content is None:
            raise Fault("the file is closed", path=self._name)
        return content


def _encode_identity(content: _Content) -> bytes:
    return sha256(b"%d" % content.identity).digest()[:ID_BYTES]
