"""Where snapshots lie: whole ones that are offered to others, and the chunks of one that is being fetched.

`write_snapshot` cuts a frozen state into chunks. Knows chunks as bytes and by number; does not know whether a fetched
chunk is true: whoever puts it here has checked it, and whoever installs it checks it again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from flockchain.primitives.numbers import Hash, Height
from flockchain.storage.snapshot import (
    SNAPSHOT_CHUNK,
    FrozenState,
    SnapshotInfo,
    build_chunk,
    choose_depth,
)
from flockchain.storage.tree import StateTree

__all__ = ["SNAPSHOTS_KEPT", "MemoryShelf", "SnapshotShelf", "write_snapshot"]

SNAPSHOTS_KEPT: Final = 2  # one that a joining node may be in the middle of, and the newest


class SnapshotShelf(Protocol):
    """Chunks by snapshot. Every height has at most one snapshot."""

    def list_whole(self) -> tuple[SnapshotInfo, ...]:
        """The snapshots that have all their chunks, ascending by height."""
        ...

    def find_partial(self) -> SnapshotInfo | None:
        """The highest snapshot of which there is something, but not all."""
        ...

    def list_chunks(self, info: SnapshotInfo) -> frozenset[int]:
        """The numbers of the chunks that are there."""
        ...

    def get_chunk(self, height: Height, index: int) -> bytes | None:
        """One encoded chunk of a snapshot, whole or not, or None."""
        ...

    def put_chunk(self, info: SnapshotInfo, index: int, data: bytes) -> None:
        """Keep one encoded chunk of a snapshot that is not whole."""
        ...

    def drop_chunk(self, info: SnapshotInfo, index: int) -> None:
        """Forget one chunk: it proved to be damaged."""
        ...

    def finish(self, info: SnapshotInfo) -> None:
        """All chunks are there: the snapshot is whole from now on."""
        ...

    def drop(self, info: SnapshotInfo) -> None:
        """Forget a snapshot, whole or not."""
        ...


class MemoryShelf:
    """`SnapshotShelf` over dictionaries, for the simulator and for tests."""

    def __init__(self) -> None:
        self._chunks: dict[SnapshotInfo, dict[int, bytes]] = {}
        self._whole: set[SnapshotInfo] = set()

    def list_whole(self) -> tuple[SnapshotInfo, ...]:
        return tuple(sorted(self._whole, key=lambda info: info.height))

    def find_partial(self) -> SnapshotInfo | None:
        partial = [info for info in self._chunks if info not in self._whole]
        return max(partial, key=lambda info: info.height, default=None)

    def list_chunks(self, info: SnapshotInfo) -> frozenset[int]:
        return frozenset(self._chunks.get(info, ()))

    def get_chunk(self, height: Height, index: int) -> bytes | None:
        return next((chunks.get(index) for info, chunks in self._chunks.items() if info.height == height), None)

    def put_chunk(self, info: SnapshotInfo, index: int, data: bytes) -> None:
        for other in [kept for kept in self._chunks if kept.height == info.height and kept != info]:
            self.drop(other)
        self._chunks.setdefault(info, {})[index] = data

    def drop_chunk(self, info: SnapshotInfo, index: int) -> None:
        self._chunks.get(info, {}).pop(index, None)
        self._whole.discard(info)

    def finish(self, info: SnapshotInfo) -> None:
        self._whole.add(info)

    def drop(self, info: SnapshotInfo) -> None:
        self._chunks.pop(info, None)
        self._whole.discard(info)


def write_snapshot(
    shelf: SnapshotShelf, tree: StateTree, state: FrozenState, height: Height, block_hash: Hash,
    breathe: Callable[[], None] = lambda: None,
) -> SnapshotInfo:  # fmt: skip
    """Cut the state of one block into chunks and put them on the shelf; older snapshots make room.

    `breathe` is called between two chunks. Safe to begin anew after a crash. Raises `StateTooLarge`.
    """
    while (partial := shelf.find_partial()) is not None:  # a crash left it
        shelf.drop(partial)
    info = SnapshotInfo(height, block_hash, tree.root, choose_depth(state))
    for index in range(info.chunk_count):
        shelf.put_chunk(info, index, SNAPSHOT_CHUNK.encode(build_chunk(tree, state, info.depth, index)))
        breathe()
    shelf.finish(info)
    for old in shelf.list_whole()[:-SNAPSHOTS_KEPT]:
        shelf.drop(old)
    return info
