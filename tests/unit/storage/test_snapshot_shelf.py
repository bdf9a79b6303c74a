"""Shelves for snapshots: in memory and as files, one behaviour; what is on disk is there after a restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flockchain.primitives.numbers import Hash, Height
from flockchain.storage.snapshot import SnapshotInfo
from flockchain.storage.snapshot_files import FileShelf
from flockchain.storage.snapshot_shelf import SNAPSHOTS_KEPT, MemoryShelf, SnapshotShelf, write_snapshot
from flockchain.storage.tree import StateTree
from tests.unit.storage.test_snapshot import Frozen

MAKERS: dict[str, Callable[[Path], SnapshotShelf]] = {"memory": lambda path: MemoryShelf(), "files": FileShelf}
VALUES = {b"%d" % number: b"value" for number in range(50)}
TREE = StateTree.build(VALUES.items())
INFO = SnapshotInfo(Height(10), Hash(bytes(32)), TREE.root, 2)


@pytest.fixture(params=MAKERS)
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> SnapshotShelf:
    return MAKERS[request.param](tmp_path / "shelf")


def test_chunks_are_partial_until_the_snapshot_is_finished(shelf):
    shelf.put_chunk(INFO, 0, b"zero")
    shelf.put_chunk(INFO, 3, b"three")
    assert (shelf.list_whole(), shelf.find_partial()) == ((), INFO)
    assert shelf.list_chunks(INFO) == {0, 3}
    assert (shelf.get_chunk(10, 3), shelf.get_chunk(10, 1), shelf.get_chunk(11, 3)) == (b"three", None, None)
    for index in (1, 2):
        shelf.put_chunk(INFO, index, b"more")
    shelf.finish(INFO)
    assert (shelf.list_whole(), shelf.find_partial()) == ((INFO,), None)


def test_a_snapshot_of_the_same_height_replaces_what_was_there(shelf):
    other = SnapshotInfo(INFO.height, INFO.block_hash, INFO.state_root, 3)
    shelf.put_chunk(INFO, 0, b"zero")
    shelf.put_chunk(other, 5, b"five")
    assert shelf.find_partial() == other
    assert shelf.list_chunks(INFO) == frozenset()
    assert shelf.get_chunk(10, 0) is None


def test_a_dropped_chunk_is_missing_again_and_a_dropped_snapshot_is_gone(shelf):
    for index in range(4):
        shelf.put_chunk(INFO, index, b"data")
    shelf.finish(INFO)
    shelf.drop_chunk(INFO, 1)
    assert (shelf.list_whole(), shelf.find_partial(), shelf.list_chunks(INFO)) == ((), INFO, {0, 2, 3})
    shelf.drop(INFO)
    assert (shelf.find_partial(), shelf.list_chunks(INFO), shelf.get_chunk(10, 0)) == (None, frozenset(), None)


def test_only_the_last_snapshots_are_kept(shelf):
    for height in (10, 20, 30):
        write_snapshot(shelf, TREE, Frozen(VALUES), height, INFO.block_hash)
    assert [info.height for info in shelf.list_whole()] == [10, 20, 30][-SNAPSHOTS_KEPT:]
    assert shelf.get_chunk(10, 0) is None


def test_what_a_crash_left_of_a_snapshot_is_dropped_by_the_next(shelf):
    shelf.put_chunk(INFO, 0, b"half")
    write_snapshot(shelf, TREE, Frozen(VALUES), 20, INFO.block_hash)
    assert shelf.find_partial() is None


def test_files_are_there_after_a_restart(tmp_path):
    shelf = FileShelf(tmp_path)
    written = write_snapshot(shelf, TREE, Frozen(VALUES), 20, INFO.block_hash)
    shelf.put_chunk(INFO, 2, b"two")
    again = FileShelf(tmp_path)
    assert (again.list_whole(), again.find_partial()) == ((written,), INFO)
    assert again.list_chunks(INFO) == {2}
    assert again.get_chunk(20, 0) == shelf.get_chunk(20, 0)


def test_a_damaged_description_hides_its_snapshot_and_nothing_else(tmp_path):
    shelf = FileShelf(tmp_path)
    write_snapshot(shelf, TREE, Frozen(VALUES), 20, INFO.block_hash)
    shelf.put_chunk(INFO, 2, b"two")
    (tmp_path / "20" / "info").write_bytes(b"nonsense")
    again = FileShelf(tmp_path)
    assert (again.list_whole(), again.find_partial()) == ((), INFO)
    write_snapshot(again, TREE, Frozen(VALUES), 20, INFO.block_hash)
    assert [info.height for info in FileShelf(tmp_path).list_whole()] == [20]
