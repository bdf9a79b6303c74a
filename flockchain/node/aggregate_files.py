"""Aggregates of files that are too large for memory: read in windows, written once, named while they are written.

The arithmetic and its checks are `exact.stream_aggregate`'s; here are descriptors, one buffer for all of them, and the
draft that becomes the file only when all of it is on the disk. Blocking: for a worker thread or a process of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from flockchain.crypto.merkle import compute_root_of_hashes
from flockchain.exact import stream_aggregate
from flockchain.primitives.learning import AdapterSpec
from flockchain.primitives.limits import CHUNK_BYTES
from flockchain.primitives.numbers import Hash
from flockchain.storage.disk import DataDamaged, disk_faults, sync_folder, write_all

__all__ = ["FileSource", "WrittenAggregate", "aggregate_files", "open_sources"]


@dataclass(frozen=True, slots=True)
class WrittenAggregate:
    """A file that is durable. `root` is the name that it has as a blob, `leaves` are its chunks' hashes."""

    root: Hash
    leaves: tuple[Hash, ...]
    size_bytes: int


def aggregate_files(spec: AdapterSpec, previous: Path | None, updates: Sequence[Path], out: Path) -> WrittenAggregate:
    """Write the aggregate of the files `updates` to `out`: the bytes of `exact.compute_aggregate`, in little memory.

    The files must not change meanwhile. Raises `AdapterFileError` and `AggregateError` as `compute_aggregate`, and
    `Fault` of the disk; then there is neither a new `out` nor a draft of it.
    """
    draft = out.with_name(out.name + ".tmp")
    with open_sources([*([previous] if previous is not None else []), *updates]) as sources:
        old = sources.pop(0) if previous is not None else None
        pieces = stream_aggregate(spec, old, sources)
        try:
            with disk_faults(out):
                written = _write_draft(draft, pieces)
                os.replace(draft, out)
                sync_folder(out.parent)
        except BaseException:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
    return written


@contextmanager
def open_sources(paths: Sequence[Path]) -> Iterator[list[FileSource]]:
    """Sources over these files, until the block ends."""
    buffer, sources, descriptors = bytearray(1 << 20), [], []
    try:
        for path in paths:
            with disk_faults(path):
                descriptors.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
                sources.append(FileSource(path, descriptors[-1], buffer))
        yield sources
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


class FileSource:
    """An open file. All of one job share a buffer, so that it stays in the processor's cache."""

    def __init__(self, path: Path, descriptor: int, buffer: bytearray) -> None:
        self._path = path
        self._descriptor = descriptor
        self._buffer = memoryview(buffer)
        self.size_bytes = os.fstat(descriptor).st_size

    def view(self, start: int, size_bytes: int) -> memoryview:
        """Read these bytes into the shared buffer."""
        if len(self._buffer) < size_bytes:
            self._buffer = memoryview(bytearray(size_bytes))  # to say what is wrong with a long header
        view, got = self._buffer[:size_bytes], 0
        try:
            while got < size_bytes:
                read = os.preadv(self._descriptor, [view[got:]], start + got)
                if read == 0:
                    raise DataDamaged("a file became shorter while it was read", path=self._path)
                got += read
        except OSError:
            with disk_faults(self._path):
                raise
        return view


class _ChunkHasher:
    """The hashes of a blob's chunks from pieces of any size."""

    def __init__(self) -> None:
        self._leaves: list[Hash] = []
        self._room = 0
        self._leaf: Any = None

    def add(self, piece: bytes | memoryview) -> None:
        left = memoryview(piece)
        while left:
            if not self._room:
                self._close()
                self._leaf, self._room = sha256(b"\x00"), CHUNK_BYTES  # RFC 6962: a leaf starts with 0x00
            part = left[: self._room]
            self._leaf.update(part)
            self._room -= len(part)
            left = left[len(part) :]

    def finish(self) -> tuple[Hash, ...]:
        self._close()
        return tuple(self._leaves)

    def _close(self) -> None:
        if self._leaf is not None:
            self._leaves.append(Hash(self._leaf.digest()))
            self._leaf = None


def _write_draft(draft: Path, pieces: Iterable[bytes | memoryview]) -> WrittenAggregate:
    hasher, size = _ChunkHasher(), 0
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        for piece in pieces:
            write_all(descriptor, piece)
            hasher.add(piece)
            size += len(piece)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    leaves = hasher.finish()
    return WrittenAggregate(compute_root_of_hashes(leaves), leaves, size)
