"""The host's side of snapshots: cut in a thread, fetched to disk, and installed in place of the chain.

Knows the two shelves, the store and the archive. Does not know which snapshot is wanted, nor why: the replica does.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from flockchain.primitives.errors import Fault
from flockchain.replica import effects as out
from flockchain.storage.archive import PRUNED_AT_ONCE, Archive, FrozenChain
from flockchain.storage.snapshot_install import install_snapshot
from flockchain.storage.snapshot_shelf import SnapshotShelf, write_snapshot
from flockchain.storage.store import Store

__all__ = ["SnapshotKeeper"]

_BREATH_S: Final = 0.01  # between two chunks: consensus on the same interpreter goes first


class SnapshotKeeper:
    """Performs what the replica wishes of snapshots and of pruning."""

    def __init__(
        self, store: Store, archive: Archive, offered: SnapshotShelf, fetched: SnapshotShelf, log: Any
    ) -> None:
        self._store = store
        self._archive = archive
        self._offered = offered
        self._fetched = fetched
        self._log = log
        self._writing: asyncio.Task[None] | None = None
        self._is_stopping = False

    def take(self, effect: out.TakeSnapshot) -> None:
        """Freeze the state now, cut it in the background. One at a time: while one is cut, the next is left out."""
        if self._writing is not None and not self._writing.done():
            self._log.warning("snapshot left out, the one before is not ready", height=effect.height)
            return
        self._writing = asyncio.get_running_loop().create_task(self._cut(effect, self._archive.freeze()))

    async def _cut(self, effect: out.TakeSnapshot, frozen: FrozenChain) -> None:
        try:
            info = await asyncio.to_thread(
                write_snapshot, self._offered, effect.tree, frozen, effect.height, effect.block_hash, self._breathe
            )
        except _NodeStopsError:
            return
        except Fault as error:  # a full disk, say: the chain goes on without a snapshot, and has its room back
            self._log.error("no snapshot", height=effect.height, reason=str(error))
            self._drop_partial()
            return
        finally:
            frozen.close()
        self._log.info("snapshot taken", height=info.height, chunks=info.chunk_count)

    def _drop_partial(self) -> None:
        try:
            while (partial := self._offered.find_partial()) is not None:
                self._offered.drop(partial)
        except Fault as error:
            self._log.error("what was cut of a snapshot is still there", reason=str(error))

    def prune(self, effect: out.PruneBlocks) -> None:
        """Drop the next few old blocks."""
        self._archive.prune(effect.below, PRUNED_AT_ONCE)

    def keep_epoch_ends(self, effect: out.KeepEpochEnds) -> None:
        """Verified light blocks go to the archive."""
        self._archive.put_epoch_ends([(it.header, it.certificate, it.validators) for it in effect.light_blocks])

    def keep_chunk(self, effect: out.KeepChunk) -> None:
        """A proven chunk goes to its shelf; chunks of an earlier snapshot make room."""
        partial = self._fetched.find_partial()
        if partial is not None and partial != effect.info:
            self._fetched.drop(partial)
        self._fetched.put_chunk(effect.info, effect.index, effect.data)

    async def install(self, effect: out.InstallSnapshot) -> bool:
        """Replace the chain. False if fetched chunks were damaged on disk: those are fetched again."""
        await self._finish_writing()
        is_done = await asyncio.to_thread(install_snapshot, self._store, self._fetched, effect.plan)
        self._archive.reload()
        return is_done

    async def stop(self) -> None:
        """The store may be closed afterwards."""
        self._is_stopping = True
        await self._finish_writing()

    async def _finish_writing(self) -> None:
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)

    def _breathe(self) -> None:
        if self._is_stopping:
            raise _NodeStopsError
        time.sleep(_BREATH_S)


class _NodeStopsError(Exception):
    """The node stops; what was cut so far is dropped at the next snapshot."""
