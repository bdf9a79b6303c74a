"""The archive: one finalized block at a time, all of it or nothing, and the way back for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from flockchain.crypto.hashing import compute_block_hash, compute_extrinsic_hash
from flockchain.primitives.block import Block
from flockchain.primitives.errors import Fault, InvariantBroken
from flockchain.primitives.limits import STATE_ROOTS_KEPT
from flockchain.primitives.numbers import Epoch, Hash, Height, View
from flockchain.primitives.vote import Certificate, VoteKind
from flockchain.storage.archive import Archive, BlockCommit, ForeignChain, Head, StatePruned
from flockchain.storage.disk import DiskFull
from flockchain.storage.level_store import LevelStore
from flockchain.storage.memory_store import MemoryStore
from flockchain.storage.overlay import Changes
from tests.kit.blocks import build_block

GENESIS_HASH = Hash(bytes([0xAA]) * 32)
GENESIS = build_block(height=Height(0), view=View(0))
GENESIS_STATE: Changes = {b"balances/a": b"10", b"balances/b": b"20", b"system/x": b"1"}


def build_child(parent: Block, **fields: object) -> Block:
    header = parent.header
    height, view = Height(header.height + 1), View(header.view + 1)
    return build_block(parent=compute_block_hash(header), height=height, view=view, **fields)  # type: ignore[arg-type]


def certify(block: Block) -> Certificate:
    header = block.header
    return Certificate(VoteKind.FINALIZE, header.epoch, header.view, compute_block_hash(header), b"\x07", bytes(96))


class FullStore(MemoryStore):
    """A store whose medium is full from now on, when told so."""

    __slots__ = ("is_full",)

    def __init__(self) -> None:
        super().__init__()
        self.is_full = False

    def write(self, puts: Mapping[bytes, bytes | None], *, sync: bool) -> None:
        assert sync, "a block is committed durably"
        if self.is_full:
            raise DiskFull("the disk is full")
        super().write(puts, sync=sync)


@pytest.fixture
def store() -> FullStore:
    return FullStore()


@pytest.fixture
def archive(store: FullStore) -> Archive:
    made = Archive(store)
    made.initialise(GENESIS_HASH, GENESIS, GENESIS_STATE)
    return made


def commit(archive: Archive, block: Block, changes: Changes, receipts: bytes = b"") -> Hash:
    entry = BlockCommit(compute_block_hash(block.header), block, changes, receipts)
    archive.commit([entry], certify(block))
    return entry.block_hash


def test_an_empty_store_has_no_chain() -> None:
    archive = Archive(MemoryStore())
    assert archive.get_head() is None
    assert archive.get_genesis_hash() is None
    assert list(archive.iterate_state()) == []
    with pytest.raises(InvariantBroken):
        commit(archive, build_child(GENESIS), {})


def test_genesis_is_the_first_head(archive: Archive) -> None:
    header = GENESIS.header
    block_hash = compute_block_hash(header)
    assert archive.get_head() == Head(Height(0), block_hash, Epoch(0), View(0), header.state_root, header.timestamp_ms)
    assert archive.get_genesis_hash() == GENESIS_HASH
    assert archive.get_block(Height(0)) == GENESIS == archive.get_block_by_hash(block_hash)
    assert dict(archive.iterate_state()) == GENESIS_STATE


def test_the_same_genesis_again_changes_nothing_and_another_is_a_fault(archive: Archive, store: FullStore) -> None:
    commit(archive, build_child(GENESIS), {b"balances/a": b"11"})
    before = list(store.scan(b""))
    archive.initialise(GENESIS_HASH, GENESIS, GENESIS_STATE)
    with pytest.raises(ForeignChain):
        archive.initialise(Hash(bytes(32)), GENESIS, GENESIS_STATE)
    assert list(store.scan(b"")) == before


def test_a_committed_block_is_found_by_every_index(archive: Archive, store: FullStore) -> None:
    block = build_child(GENESIS, extrinsics=(b"first", b"second"))
    block_hash, certificate = compute_block_hash(block.header), certify(block)
    commit(archive, block, {b"balances/a": b"7", b"system/x": None}, b"receipts")
    for view in (archive, Archive(store)):
        head = view.get_head()
        assert head is not None
        assert (head.height, head.block_hash) == (1, block_hash)
        assert view.get_block(Height(1)) == block == view.get_block_by_hash(block_hash)
        assert view.get_height(block_hash) == 1
        assert view.get_certificate(Height(1)) == certificate
        assert view.get_receipts(Height(1)) == b"receipts"
        assert view.find_extrinsic(compute_extrinsic_hash(b"second")) == (1, 1)
        assert list(view.iterate_state()) == [(b"balances/a", b"7"), (b"balances/b", b"20")]
        assert list(view.state.scan(b"balances/")) == list(view.iterate_state())
        assert view.state.get(b"system/x") is None


def test_what_was_never_committed_is_none(archive: Archive) -> None:
    unknown = Hash(bytes([9]) * 32)
    assert archive.get_block(Height(5)) is None
    assert archive.get_block_by_hash(unknown) is None
    assert archive.get_certificate(Height(0)) is None
    assert archive.get_receipts(Height(5)) is None
    assert archive.find_extrinsic(unknown) is None


def test_only_the_next_block_with_its_own_hash_and_certificate_is_taken(archive: Archive, store: FullStore) -> None:
    block = build_child(GENESIS)
    block_hash = compute_block_hash(block.header)
    orphan = build_block(parent=Hash(bytes([1]) * 32), height=Height(1))
    skipped = build_child(block)
    before = list(store.scan(b""))
    for wrong in (orphan, skipped, GENESIS):
        with pytest.raises(InvariantBroken):
            commit(archive, wrong, {})
    entry = BlockCommit(block_hash, block, {}, b"")
    with pytest.raises(InvariantBroken):
        archive.commit([BlockCommit(GENESIS_HASH, block, {}, b"")], certify(block))
    with pytest.raises(InvariantBroken):
        archive.commit([entry], certify(GENESIS))
    with pytest.raises(InvariantBroken):
        archive.commit([], certify(GENESIS))
    with pytest.raises(InvariantBroken):
        archive.commit([entry, entry], certify(block))
    with pytest.raises(InvariantBroken):
        commit(archive, block, {b"balances/a": b""})
    assert list(store.scan(b"")) == before


def test_blocks_finalized_together_are_written_together_as_if_one_by_one(archive: Archive, store: FullStore) -> None:
    first = build_child(GENESIS, extrinsics=(b"x",))
    second = build_child(first)
    third = build_child(second, extrinsics=(b"y",))
    changes: list[Changes] = [
        {b"balances/a": b"1", b"system/x": None}, {b"balances/a": b"2", b"new": b"n"}, {b"balances/a": None}
    ]  # fmt: skip
    blocks = [first, second, third]
    entries = [
        BlockCommit(compute_block_hash(block.header), block, change, b"r")
        for block, change in zip(blocks, changes, strict=True)
    ]
    archive.commit(entries, certify(third))
    other_store = FullStore()
    other = Archive(other_store)
    other.initialise(GENESIS_HASH, GENESIS, GENESIS_STATE)
    for block, change in zip(blocks, changes, strict=True):
        commit(other, block, change, b"r")
    together, apart = dict(store.scan(b"")), dict(other_store.scan(b""))
    assert {key for key in apart if key not in together} == {b"c" + bytes(7) + bytes([height]) for height in (1, 2)}
    assert together.items() <= apart.items()
    assert [archive.get_certificate(Height(height)) for height in (1, 2, 3)] == [None, None, certify(third)]
    assert [archive.get_value_at(Height(height), b"balances/a") for height in range(4)] == [b"10", b"1", b"2", None]


def test_one_block_that_does_not_follow_spoils_the_whole_batch(archive: Archive, store: FullStore) -> None:
    first = build_child(GENESIS)
    stranger = build_child(GENESIS, spec_version=2)
    entries = [BlockCommit(compute_block_hash(block.header), block, {}, b"") for block in (first, stranger)]
    before = list(store.scan(b""))
    with pytest.raises(InvariantBroken):
        archive.commit(entries, certify(stranger))
    assert list(store.scan(b"")) == before


def test_a_full_disk_leaves_the_archive_at_the_last_block(archive: Archive, store: FullStore) -> None:
    block = build_child(GENESIS)
    before, head = list(store.scan(b"")), archive.get_head()
    store.is_full = True
    with pytest.raises(DiskFull):
        commit(archive, block, {b"balances/a": b"7"})
    assert (list(store.scan(b"")), archive.get_head(), archive.state.get(b"balances/a")) == (before, head, b"10")
    store.is_full = False
    commit(archive, block, {b"balances/a": b"7"})
    assert archive.state.get(b"balances/a") == b"7"


def commit_chain(archive: Archive, count: int) -> list[dict[bytes, bytes]]:
    """Commit blocks that change state; the whole state after each height."""
    states = [dict(archive.iterate_state())]
    block = GENESIS
    for height in range(1, count + 1):
        block = build_child(block)
        changes: Changes = {b"system/x": b"%d" % height, b"balances/%d" % (height % 5): b"%d" % height}
        if height % 3 == 0:
            changes[b"balances/%d" % ((height + 1) % 5)] = None
        commit(archive, block, changes)
        states.append(dict(archive.iterate_state()))
    return states


def test_old_values_are_found_until_their_undo_is_pruned(archive: Archive) -> None:
    last = STATE_ROOTS_KEPT + 7
    states = commit_chain(archive, last)
    keys = sorted({key for state in states for key in state})
    for height in (last, last - 1, last - 60, last - STATE_ROOTS_KEPT):
        for key in keys:
            assert archive.get_value_at(Height(height), key) == states[height].get(key)
    for height in (last - STATE_ROOTS_KEPT - 1, 0, last + 1):
        with pytest.raises(StatePruned):
            archive.get_value_at(Height(height), b"system/x")


def test_no_more_undo_records_are_kept_than_the_limit(archive: Archive, store: FullStore) -> None:
    commit_chain(archive, STATE_ROOTS_KEPT + 7)
    assert len(list(store.scan(b"u"))) == STATE_ROOTS_KEPT


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    return tmp_path / "chain"


def test_a_chain_on_disk_goes_on_after_it_is_opened_again(folder: Path) -> None:
    archive = Archive(LevelStore(folder))
    archive.initialise(GENESIS_HASH, GENESIS, GENESIS_STATE)
    states = commit_chain(archive, 9)
    head = archive.get_head()
    archive.close()
    with pytest.raises(Fault):
        archive.get_block(Height(1))
    again = Archive(LevelStore(folder))
    assert again.get_head() == head
    assert dict(again.iterate_state()) == states[-1]
    assert again.get_value_at(Height(4), b"system/x") == b"4"
    again.close()


def test_values_too_large_to_cache_are_read_from_the_store(archive: Archive) -> None:
    block = build_child(GENESIS)
    commit(archive, block, {b"balances/a": bytes(100_000)})
    assert archive.state.get(b"balances/a") == bytes(100_000)
    commit(archive, build_child(block), {b"balances/a": b"1"})
    assert archive.state.get(b"balances/a") == b"1"
    assert archive.get_value_at(Height(1), b"balances/a") == bytes(100_000)
