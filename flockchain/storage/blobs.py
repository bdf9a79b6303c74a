"""Large bytes under the name of their content: updates, aggregates, evaluation suites.

A blob's name is the RFC 6962 root over its 256 KiB chunks, so each chunk can be checked against the name
as it arrives, from anybody, in any order. A transfer that stops resumes with what was kept: every kept
chunk is checked again when the partial blob is opened, so no order of writes has to be forced.

    <root>.blob, <root>.leaves             a whole blob, and the hashes of its chunks
    partial/<root>-<size>.blob, .leaves    one on its way; a chunk is kept once its hash stands in .leaves

Knows no network, no task and no file format. One process, one thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from flockchain.crypto.merkle import (
    compute_audit_path_of_hashes,
    compute_leaf_hash,
    compute_root_of_hashes,
    verify_audit_path_of_hash,
)
from flockchain.primitives.errors import Fault, InvalidInput, Refused
from flockchain.primitives.limits import BLOB_BYTES_MAX, CHUNK_BYTES
from flockchain.primitives.numbers import HASH_BYTES, ZERO_HASH, Hash
from flockchain.storage.disk import DataDamaged, disk_faults, make_folder, replace_file, sync_folder, write_all

__all__ = [
    "BlobIncomplete", "BlobPresent", "BlobStore", "BlobUnknown", "InvalidBlob", "InvalidChunk", "PartialBlob",
    "compute_blob_root", "compute_chunk_count",
]  # fmt: skip

_LEAVES_CACHED: Final = 64


class InvalidBlob(InvalidInput):
    """No blob has this size or this name."""


class InvalidChunk(InvalidInput):
    """A chunk that is not the one the blob's name commits to."""


class BlobUnknown(Refused):
    """This store does not hold that blob."""


class BlobPresent(Refused):
    """This store already holds the whole blob."""


class BlobIncomplete(Refused):
    """Chunks are missing still."""


def compute_blob_root(data: bytes) -> Hash:
    """The name of a blob: the RFC 6962 root over its chunks."""
    return compute_root_of_hashes(_compute_leaves(data))


def compute_chunk_count(size_bytes: int) -> int:
    """How many chunks a blob of this size has; all but the last are CHUNK_BYTES long."""
    return -(-size_bytes // CHUNK_BYTES)


class BlobStore:
    """Blobs in a folder. `DiskFull` and `DiskFailed` leave every whole blob and every kept chunk as it was."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial_path = path / "partial"
        make_folder(self._partial_path)
        with disk_faults(path):
            for draft in path.glob("*.tmp"):
                draft.unlink(missing_ok=True)  # a crash while a blob was put
        self._open: dict[tuple[Hash, int], PartialBlob] = {}
        self._leaves: dict[Hash, tuple[Hash, ...]] = {}

    def put(self, data: bytes) -> Hash:
        """Keep a whole blob, durably; its name. Raises `InvalidBlob` for an empty or too large one."""
        _require_size(len(data))
        leaves = _compute_leaves(data)
        root = compute_root_of_hashes(leaves)
        if not self.has(root):
            replace_file(self._leaves_file(root), b"".join(leaves))
            replace_file(self._blob_file(root), data)
        return root

    def has(self, root: Hash) -> bool:
        """Whether the whole blob is here."""
        return len(root) == HASH_BYTES and self._blob_file(root).exists()

    def has_partial(self, root: Hash, size: int) -> bool:
        """Whether an earlier attempt at this blob left something."""
        return (self._partial_path / f"{root.hex()}-{size}.leaves").exists()

    def roots(self) -> Iterator[Hash]:
        """The names of all whole blobs, in no order."""
        with disk_faults(self._path):
            names = [file.stem for file in self._path.glob("*.blob")]
        return (Hash(bytes.fromhex(name)) for name in names)

    def size(self, root: Hash) -> int:
        """The blob's length in bytes. Raises `BlobUnknown`."""
        self._require(root)
        with disk_faults(self._path):
            return self._blob_file(root).stat().st_size

    def read(self, root: Hash) -> bytes:
        """All bytes of a blob, checked against its name. Raises `BlobUnknown`, or `DataDamaged`."""
        self._require(root)
        with disk_faults(self._path):
            data = self._blob_file(root).read_bytes()
        if compute_blob_root(data) != root:
            raise DataDamaged("a blob on the disk is damaged", root=root, size_bytes=len(data))
        return data

    def read_chunk(self, root: Hash, index: int) -> tuple[bytes, tuple[Hash, ...]]:
        """One chunk and its audit path. Raises `BlobUnknown`, `InvalidChunk` for no such index, or `DataDamaged`."""
        leaves = self._get_leaves(root)
        if not 0 <= index < len(leaves):
            raise InvalidChunk("the blob has no chunk of this index", index=index, chunks=len(leaves))
        with disk_faults(self._path), self._blob_file(root).open("rb") as file:
            file.seek(index * CHUNK_BYTES)
            chunk = file.read(CHUNK_BYTES)
        if compute_leaf_hash(chunk) != leaves[index]:
            raise DataDamaged("a blob on the disk is damaged", root=root, index=index)
        return chunk, compute_audit_path_of_hashes(leaves, index)

    def delete(self, root: Hash) -> None:
        """Forget a whole blob. Raises `BlobUnknown`."""
        self._require(root)
        self._leaves.pop(root, None)
        with disk_faults(self._path):
            self._blob_file(root).unlink()
            self._leaves_file(root).unlink(missing_ok=True)
            sync_folder(self._path)

    def open_partial(self, root: Hash, size: int) -> PartialBlob:
        """A blob of this name and size (bytes) to be filled, with what earlier attempts kept.

        The same object while it is open. Raises `BlobPresent`, or `InvalidBlob` for an impossible size or name.
        """
        _require_size(size)
        if len(root) != HASH_BYTES:
            raise InvalidBlob("a blob's name is 32 bytes", got=len(root))
        if self.has(root):
            raise BlobPresent("the blob is here already", root=root)
        partial = self._open.get((root, size))
        if partial is None:
            partial = PartialBlob(self, self._partial_path / f"{root.hex()}-{size}", root, size)
            self._open[root, size] = partial
        return partial

    def on_partial_closed(self, root: Hash, size_bytes: int) -> None:
        """A partial blob let its files go."""
        self._open.pop((root, size_bytes), None)

    def take_over(self, root: Hash, file: Path, leaves: Sequence[Hash]) -> None:
        """Make a file that holds exactly the blob `root`, and is on disk, one of ours."""
        replace_file(self._leaves_file(root), b"".join(leaves))
        with disk_faults(self._path):
            os.replace(file, self._blob_file(root))
            sync_folder(self._path)

    def _require(self, root: Hash) -> None:
        if not self.has(root):
            raise BlobUnknown("the blob is not here", root=root)

    def _get_leaves(self, root: Hash) -> tuple[Hash, ...]:
        leaves = self._leaves.get(root)
        if leaves is not None:
            return leaves
        self._require(root)
        with disk_faults(self._path):
            stored = self._leaves_file(root).read_bytes()
        leaves = _split_leaves(stored)
        if compute_root_of_hashes(leaves) != root:
            raise DataDamaged("a blob's chunk hashes on the disk are damaged", root=root)
        if len(self._leaves) >= _LEAVES_CACHED:
            del self._leaves[next(iter(self._leaves))]
        self._leaves[root] = leaves
        return leaves

    def _blob_file(self, root: Hash) -> Path:
        return self._path / f"{root.hex()}.blob"

    def _leaves_file(self, root: Hash) -> Path:
        return self._path / f"{root.hex()}.leaves"


class PartialBlob:
    """A blob on its way: chunks in any order, each checked against the name before it is kept."""

    def __init__(self, store: BlobStore, stem: Path, root: Hash, size_bytes: int) -> None:
        self.root: Final = root
        self.size_bytes: Final = size_bytes
        self.chunk_count: Final = compute_chunk_count(size_bytes)
        self._store = store
        self._blob_file = stem.with_name(stem.name + ".blob")
        self._leaves_file = stem.with_name(stem.name + ".leaves")
        self._leaves: list[Hash] = [ZERO_HASH] * self.chunk_count  # zero: not kept
        self._blob: int | None = None
        self._leaf_log: int | None = None
        try:
            with disk_faults(stem):
                self._blob = os.open(self._blob_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                self._leaf_log = os.open(self._leaves_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                self._recover(self._blob, os.pread(self._leaf_log, HASH_BYTES * self.chunk_count, 0))
        except Fault:
            self.close()
            raise

    @property
    def missing_chunks(self) -> tuple[int, ...]:
        """The indexes still to come, ascending."""
        return tuple([index for index, leaf in enumerate(self._leaves) if leaf == ZERO_HASH])

    def put_chunk(self, index: int, chunk: bytes, path: Sequence[bytes]) -> None:
        """Keep a chunk; one that is here already is left. Raises `InvalidChunk`, and then nothing was kept."""
        blob, leaf_log = self._require_open()
        if not 0 <= index < self.chunk_count:
            raise InvalidChunk("the blob has no chunk of this index", index=index, chunks=self.chunk_count)
        if len(chunk) != self._get_chunk_size(index):
            raise InvalidChunk("a chunk has another length", wanted=self._get_chunk_size(index), got=len(chunk))
        leaf = compute_leaf_hash(chunk)
        if not verify_audit_path_of_hash(leaf, index, self.chunk_count, path, self.root):
            raise InvalidChunk("a chunk does not belong to this blob", root=self.root, index=index)
        if self._leaves[index] != ZERO_HASH:
            return
        with disk_faults(self._blob_file):
            _write_at(blob, chunk, index * CHUNK_BYTES)
            _write_at(leaf_log, leaf, index * HASH_BYTES)
        self._leaves[index] = leaf

    def finish(self) -> None:
        """Make the blob whole and durable. Raises `BlobIncomplete` while chunks are missing."""
        blob, _ = self._require_open()
        missing = self.missing_chunks
        if missing:
            raise BlobIncomplete("chunks are missing still", missing=len(missing), chunks=self.chunk_count)
        if compute_root_of_hashes(self._leaves) != self.root:
            # A crash tore the list of hashes that an earlier attempt left: nothing in it can be trusted.
            self._forget()
            raise BlobIncomplete("what was kept does not add up and was dropped", chunks=self.chunk_count)
        with disk_faults(self._blob_file):
            os.fsync(blob)
        self._store.take_over(self.root, self._blob_file, self._leaves)
        self.close()
        with suppress(OSError):
            self._leaves_file.unlink(missing_ok=True)

    def discard(self) -> None:
        """Give up, and drop what was kept."""
        self.close()
        with disk_faults(self._blob_file):
            self._blob_file.unlink(missing_ok=True)
            self._leaves_file.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop for now; `open_partial` resumes. A second call does nothing."""
        for descriptor in (self._blob, self._leaf_log):
            if descriptor is not None:
                os.close(descriptor)
        self._blob = self._leaf_log = None
        self._store.on_partial_closed(self.root, self.size_bytes)

    def _recover(self, blob: int, stored: bytes) -> None:
        """Keep those chunks of an earlier attempt that still have the hash they were kept under."""
        for index, leaf in enumerate(_split_leaves(stored)):
            if leaf != ZERO_HASH:
                chunk = os.pread(blob, self._get_chunk_size(index), index * CHUNK_BYTES)
                if compute_leaf_hash(chunk) == leaf:
                    self._leaves[index] = leaf

    def _forget(self) -> None:
        _, leaf_log = self._require_open()
        self._leaves = [ZERO_HASH] * self.chunk_count
        with disk_faults(self._leaves_file):
            os.ftruncate(leaf_log, 0)

    def _get_chunk_size(self, index: int) -> int:
        return min(CHUNK_BYTES, self.size_bytes - index * CHUNK_BYTES)

    def _require_open(self) -> tuple[int, int]:
        if self._blob is None or self._leaf_log is None:
            raise Fault("the partial blob is closed", root=self.root)
        return self._blob, self._leaf_log


def _require_size(size_bytes: int) -> None:
    if not 0 < size_bytes <= BLOB_BYTES_MAX:
        raise InvalidBlob("a blob has from one byte to the limit", size_bytes=size_bytes, most=BLOB_BYTES_MAX)


def _compute_leaves(data: bytes) -> list[Hash]:
    return [compute_leaf_hash(data[start : start + CHUNK_BYTES]) for start in range(0, len(data), CHUNK_BYTES)]


def _split_leaves(stored: bytes) -> tuple[Hash, ...]:
    """The whole hashes in `stored`; a torn one at the end is left out."""
    whole = len(stored) - len(stored) % HASH_BYTES
    return tuple([Hash(stored[start : start + HASH_BYTES]) for start in range(0, whole, HASH_BYTES)])


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    os.lseek(descriptor, offset, os.SEEK_SET)
    write_all(descriptor, data)
