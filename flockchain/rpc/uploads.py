"""Which uploads a node takes, and which it forgets again: nobody may fill its disk for free.

An upload is allowed for a task that is under way, up to the task's limit on an update's size, or without a task (a
suite for a task to be created) up to the limit on any blob. What was uploaded counts as unclaimed until the chain
names it; unclaimed blobs are bounded in number and bytes, and after some blocks they are dropped. Time is counted in
blocks. Uploads of an earlier run of the node are not counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.limits import BLOB_BYTES_MAX, MIB
from flockchain.primitives.numbers import HASH_BYTES, Hash, Height, Round, TaskId
from flockchain.primitives.rounds import TaskStatus
from flockchain.rpc.failures import LimitReached, NotThere
from flockchain.runtime import learning_views
from flockchain.runtime.frame import StateReader
from flockchain.runtime.pallets.updates import get_updates
from flockchain.storage.blobs import BlobPresent, BlobStore, PartialBlob, compute_chunk_count

__all__ = ["UploadDesk", "UploadLimits", "UploadTooLarge"]


class UploadTooLarge(InvalidInput):
    """More bytes than the task or the chain allows."""


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """How much a node takes on trust."""

    streams: int = 32
    unclaimed_blobs: int = 1024
    unclaimed_bytes: int = 2048 * MIB
    unclaimed_blocks: int = 2000


@dataclass(slots=True)
class _Upload:
    """A blob that came in over the API and that the chain does not name yet."""

    root: Hash
    size_bytes: int
    task: TaskId | None
    height: Height
    streams: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class UploadDesk:
    """Admits uploads and keeps count of what they left."""

    def __init__(
        self, blobs: BlobStore, state: StateReader, get_height: Callable[[], Height], limits: UploadLimits
    ) -> None:
        self._blobs = blobs
        self._state = state
        self._get_height = get_height
        self._limits = limits
        self._uploads: dict[tuple[Hash, int], _Upload] = {}

    def require_allowed(self, root: bytes, size_bytes: int, task: TaskId | None) -> None:
        """Refuse an upload that this node would not keep. Raises `NotThere`, `UploadTooLarge`, `LimitReached`."""
        if len(root) != HASH_BYTES:
            raise InvalidInput("a blob's root has 32 bytes", got=len(root))
        most = BLOB_BYTES_MAX if task is None else self._get_update_limit(task)
        if not 0 < size_bytes <= most:
            raise UploadTooLarge("a blob of this size is not taken", most=most, got=size_bytes)
        self._forget_old()
        if (Hash(root), size_bytes) in self._uploads:
            return
        held = sum(upload.size_bytes for upload in self._uploads.values())
        if len(self._uploads) >= self._limits.unclaimed_blobs or held + size_bytes > self._limits.unclaimed_bytes:
            raise LimitReached("the node holds too many blobs that no task or round names", bytes=held)

    def get_missing(self, root: Hash, size_bytes: int) -> tuple[int, ...]:
        """The chunks of a blob that this node lacks. Raises `UploadTooLarge` for a size that no blob has."""
        if size_bytes > BLOB_BYTES_MAX:
            raise UploadTooLarge("a blob of this size is not taken", most=BLOB_BYTES_MAX, got=size_bytes)
        if not self._blobs.has_partial(root, size_bytes):
            return tuple(range(compute_chunk_count(size_bytes)))
        partial = self._blobs.open_partial(root, size_bytes)
        missing = partial.missing_chunks
        upload = self._uploads.get((root, size_bytes))
        if upload is None or not upload.streams:
            partial.close()
        return missing

    def open(self, root: Hash, size_bytes: int, task: TaskId | None) -> _Upload:
        """One more stream of an upload that is allowed. `close` it."""
        if sum(upload.streams for upload in self._uploads.values()) >= self._limits.streams:
            raise LimitReached("the node takes no more uploads at a time", most=self._limits.streams)
        key = (root, size_bytes)
        upload = self._uploads.get(key)
        if upload is None:
            upload = self._uploads[key] = _Upload(root, size_bytes, task, self._get_height())
        upload.streams += 1
        return upload

    def close(self, upload: _Upload, partial: PartialBlob | None) -> None:
        """A stream ended; what it brought stays."""
        upload.streams -= 1
        if upload.streams == 0 and partial is not None and not self._blobs.has(upload.root):
            partial.close()

    def _get_update_limit(self, task: TaskId) -> int:
        record = learning_views.find_task(self._state, task)
        if record is None:
            raise NotThere("there is no such task", task=task)
        if record.status is not TaskStatus.OPEN:
            raise NotThere("the task is over and takes no updates", task=task)
        return record.spec.max_update_bytes

    def _forget_old(self) -> None:
        """Stop counting what the chain names by now, and drop what it has not named for too long."""
        height = self._get_height()
        for key, upload in list(self._uploads.items()):
            if upload.streams:
                continue
            if self._is_claimed(upload):
                del self._uploads[key]
            elif height > upload.height + self._limits.unclaimed_blocks:
                del self._uploads[key]
                self._drop(upload)

    def _drop(self, upload: _Upload) -> None:
        if self._blobs.has(upload.root):
            self._blobs.delete(upload.root)
            return
        try:
            self._blobs.open_partial(upload.root, upload.size_bytes).discard()
        except BlobPresent:
            return

    def _is_claimed(self, upload: _Upload) -> bool:
        tasks = learning_views.list_tasks(self._state)
        if any(record.spec.suite_blob == upload.root for record in tasks):
            return True
        return any(
            update.blob == upload.root
            for record in tasks
            for round_ in range(max(0, record.round - 1), record.round + 1)
            for update in get_updates(self._state, record.task, Round(round_))
        )
