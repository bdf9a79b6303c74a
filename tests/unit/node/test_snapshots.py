"""The host's side of snapshots: cut in the background, one at a time, and no fault of theirs stops the chain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flockchain.node.app import _build_habits
from flockchain.node.config import BadNodeConfig, NodeConfig, StorageConfig, SyncConfig
from flockchain.node.home import Home
from flockchain.node.snapshots import SnapshotKeeper
from flockchain.replica import effects as out
from flockchain.storage.archive import Archive
from flockchain.storage.disk import DiskFull
from flockchain.storage.level_store import LevelStore
from flockchain.storage.snapshot import decode_chunk, verify_chunk
from flockchain.storage.snapshot_files import FileShelf
from tests.kit.long_chains import LongChain, build_long_genesis


class Log:
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def info(self, event: str, **_: Any) -> None:
        self.said.append(event)

    warning = error = info


class Desk:
    """A chain in a LevelDB and the keeper beside it."""

    def __init__(self, folder: Path) -> None:
        store = LevelStore(folder / "chain")
        self.archive = Archive(store)
        self.chain = LongChain(build_long_genesis(8, epoch_blocks=4), self.archive)
        self.chain.grow(4)
        self.offered, self.fetched, self.log = FileShelf(folder / "offered"), FileShelf(folder / "fetched"), Log()
        self.keeper = SnapshotKeeper(store, self.archive, self.offered, self.fetched, self.log)

    def wish(self) -> out.TakeSnapshot:
        head = self.chain.ledger.finalized
        return out.TakeSnapshot(head.header.height, head.block_hash, head.tree)

    async def wait_written(self) -> None:
        for _ in range(500):
            if self.log.said:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("nothing was said")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.archive.close()


async def test_a_snapshot_is_of_the_block_at_which_it_was_wished_whatever_comes_after(desk: Desk) -> None:
    wish = desk.wish()
    desk.keeper.take(wish)
    desk.chain.grow(4)
    await desk.wait_written()
    (info,) = desk.offered.list_whole()
    assert (info.height, info.block_hash, info.state_root) == (4, wish.block_hash, wish.tree.root)
    chunk = decode_chunk(desk.offered.get_chunk(info.height, 0) or b"")
    assert verify_chunk(wish.tree.root, info.depth, 0, chunk)
    await desk.keeper.stop()


async def test_while_one_is_cut_the_next_is_left_out(desk: Desk) -> None:
    desk.keeper.take(desk.wish())
    desk.chain.grow(4)
    desk.keeper.take(desk.wish())
    assert desk.log.said == ["snapshot left out, the one before is not ready"]
    await desk.keeper.stop()


async def test_a_full_disk_costs_the_snapshot_and_not_the_chain(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    put = desk.offered.put_chunk

    def fail_half_way(*arguments: Any) -> None:
        put(*arguments)
        raise DiskFull("the disk is full")

    monkeypatch.setattr(desk.offered, "put_chunk", fail_half_way)
    desk.keeper.take(desk.wish())
    await desk.wait_written()
    assert desk.log.said == ["no snapshot"]
    assert desk.offered.find_partial() is None  # its room is free again
    desk.chain.grow(1)
    await desk.keeper.stop()


async def test_stopping_waits_for_the_thread_so_that_the_store_can_be_closed(desk: Desk) -> None:
    desk.keeper.take(desk.wish())
    await desk.keeper.stop()
    assert desk.offered.list_whole() == () or desk.log.said == ["snapshot taken"]


def test_the_settings_become_habits_and_a_checkpoint_in_mid_epoch_is_refused(tmp_path: Path) -> None:
    genesis = build_long_genesis(8, epoch_blocks=4)
    config = NodeConfig(sync=SyncConfig(True, 77, "8:" + "ab" * 32), storage=StorageConfig(64, 500))
    habits = _build_habits(Home(tmp_path), config, genesis)
    checkpoint = habits.snapshot_config.checkpoint
    assert checkpoint is not None
    assert (checkpoint.height, checkpoint.block_hash) == (8, bytes([0xAB]) * 32)
    assert habits.snapshot_config.lag_blocks == 77
    assert (habits.retention.snapshot_blocks, habits.retention.keep_blocks) == (64, 500)
    with pytest.raises(BadNodeConfig, match="last block of an epoch"):
        _build_habits(Home(tmp_path), replace(config, sync=SyncConfig(True, 77, "9:" + "ab" * 32)), genesis)
