"""Blobs: named by content, kept chunk by chunk, and never half there."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from flockchain.crypto.merkle import compute_audit_path, compute_root
from flockchain.primitives.errors import Fault
from flockchain.primitives.limits import BLOB_BYTES_MAX, CHUNK_BYTES
from flockchain.primitives.numbers import Hash
from flockchain.storage.blobs import (
    BlobIncomplete,
    BlobPresent,
    BlobStore,
    BlobUnknown,
    InvalidBlob,
    InvalidChunk,
    PartialBlob,
    compute_blob_root,
    compute_chunk_count,
)
from flockchain.storage.disk import DataDamaged, DiskFailed

SIZES = [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES + 7]
DATA = random.Random(3).randbytes(5 * CHUNK_BYTES + 7)
CHUNKS = [DATA[start : start + CHUNK_BYTES] for start in range(0, len(DATA), CHUNK_BYTES)]
ROOT = compute_root(CHUNKS)
PATHS = [compute_audit_path(CHUNKS, index) for index in range(len(CHUNKS))]


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def fill(partial: PartialBlob, indexes: Sequence[int]) -> None:
    for index in indexes:
        partial.put_chunk(index, CHUNKS[index], PATHS[index])


def list_files(store_path: Path) -> list[str]:
    return sorted(file.relative_to(store_path).as_posix() for file in store_path.rglob("*") if file.is_file())


def test_the_name_is_the_rfc_6962_root_over_256_kib_chunks() -> None:
    assert CHUNK_BYTES == 256 * 1024
    assert compute_blob_root(DATA) == ROOT
    assert compute_blob_root(b"abc") == sha256(b"\x00abc").digest()
    assert compute_blob_root(b"") == sha256(b"").digest()
    assert [compute_chunk_count(size) for size in (1, CHUNK_BYTES, CHUNK_BYTES + 1)] == [1, 1, 2]
    pattern = bytes(range(256)) * 2048
    assert compute_blob_root(pattern).hex() == "8c6616afcf25a450d4aa7569795a23b4ffa92dde025a4980af4022a88445e233"


@pytest.mark.parametrize("size", SIZES)
def test_what_was_put_is_read_back_whole_and_by_chunks(store: BlobStore, tmp_path: Path, size: int) -> None:
    data = DATA[:size]
    root = store.put(data)
    assert store.put(data) == root
    assert store.has(root)
    assert (store.size(root), store.read(root), list(store.roots())) == (size, data, [root])
    other = BlobStore(tmp_path / "other")
    partial = other.open_partial(root, size)
    for index in range(compute_chunk_count(size)):
        partial.put_chunk(index, *store.read_chunk(root, index))
    partial.finish()
    assert other.read(root) == data
    with pytest.raises(InvalidChunk):
        store.read_chunk(root, compute_chunk_count(size))


def test_chunks_come_in_any_order_and_twice(store: BlobStore, tmp_path: Path) -> None:
    partial = store.open_partial(ROOT, len(DATA))
    assert partial.missing_chunks == (0, 1, 2, 3, 4, 5)
    fill(partial, [5, 0, 3, 0])
    assert partial.missing_chunks == (1, 2, 4)
    with pytest.raises(BlobIncomplete):
        partial.finish()
    assert not store.has(ROOT)
    fill(partial, [4, 2, 1])
    partial.finish()
    assert store.read(ROOT) == DATA
    assert list_files(tmp_path / "blobs") == sorted([f"{ROOT.hex()}.blob", f"{ROOT.hex()}.leaves"])


def test_a_transfer_resumes_where_it_stopped(store: BlobStore, tmp_path: Path) -> None:
    fill(store.open_partial(ROOT, len(DATA)), [1, 5])
    resumed = BlobStore(tmp_path / "blobs").open_partial(ROOT, len(DATA))
    assert resumed.missing_chunks == (0, 2, 3, 4)
    fill(resumed, resumed.missing_chunks)
    resumed.finish()
    assert BlobStore(tmp_path / "blobs").read(ROOT) == DATA


def test_a_kept_chunk_that_the_disk_spoiled_is_missing_again(store: BlobStore, tmp_path: Path) -> None:
    partial = store.open_partial(ROOT, len(DATA))
    fill(partial, [0, 1, 5])
    partial.close()
    (file,) = (tmp_path / "blobs" / "partial").glob("*.blob")
    with file.open("r+b") as spoiled:
        spoiled.seek(CHUNK_BYTES + 9)
        spoiled.write(b"\x00\x01\x02")
    assert store.open_partial(ROOT, len(DATA)).missing_chunks == (1, 2, 3, 4)


def test_kept_hashes_that_the_disk_spoiled_never_make_a_wrong_blob(store: BlobStore, tmp_path: Path) -> None:
    partial = store.open_partial(ROOT, len(DATA))
    fill(partial, range(6))
    partial.close()
    folder = tmp_path / "blobs" / "partial"
    (blob,), (leaves,) = folder.glob("*.blob"), folder.glob("*.leaves")
    forged = b"\x07" * CHUNK_BYTES
    with blob.open("r+b") as file:
        file.write(forged)
    with leaves.open("r+b") as file:
        file.write(sha256(b"\x00" + forged).digest())
    resumed = store.open_partial(ROOT, len(DATA))
    assert resumed.missing_chunks == ()
    with pytest.raises(BlobIncomplete, match="dropped"):
        resumed.finish()
    assert resumed.missing_chunks == (0, 1, 2, 3, 4, 5)
    fill(resumed, range(6))
    resumed.finish()
    assert store.read(ROOT) == DATA


@pytest.mark.parametrize(
    ("index", "chunk", "path"),
    [
        (0, CHUNKS[1], PATHS[1]), (0, CHUNKS[1], PATHS[0]), (0, CHUNKS[0], PATHS[1]), (0, CHUNKS[0], PATHS[0][:-1]),
        (0, CHUNKS[0], (*PATHS[0], bytes(32))), (0, CHUNKS[0][:-1], PATHS[0]), (0, CHUNKS[0] + b"!", PATHS[0]),
        (5, CHUNKS[5] + b"!", PATHS[5]), (0, b"", PATHS[0]), (6, CHUNKS[5], PATHS[5]), (-1, CHUNKS[5], PATHS[5]),
    ],
)  # fmt: skip
def test_a_chunk_that_does_not_belong_is_refused_and_nothing_is_kept(
    store: BlobStore, tmp_path: Path, index: int, chunk: bytes, path: Sequence[bytes]
) -> None:
    partial = store.open_partial(ROOT, len(DATA))
    with pytest.raises(InvalidChunk):
        partial.put_chunk(index, chunk, path)
    assert partial.missing_chunks == (0, 1, 2, 3, 4, 5)
    assert {file.stat().st_size for file in (tmp_path / "blobs" / "partial").iterdir()} == {0}


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1, len(DATA) + CHUNK_BYTES, CHUNK_BYTES])
def test_a_wrong_size_never_makes_a_blob(store: BlobStore, size: int) -> None:
    partial = store.open_partial(ROOT, size)
    for index in range(min(len(CHUNKS), partial.chunk_count)):
        try:
            partial.put_chunk(index, CHUNKS[index], PATHS[index])
        except InvalidChunk:
            continue
    assert partial.missing_chunks
    with pytest.raises(BlobIncomplete):
        partial.finish()
    assert not store.has(ROOT)
    right = store.open_partial(ROOT, len(DATA))
    fill(right, range(6))
    right.finish()
    assert store.read(ROOT) == DATA


@pytest.mark.parametrize("size", [0, -1, BLOB_BYTES_MAX + 1])
def test_a_size_that_no_blob_has_is_refused(store: BlobStore, tmp_path: Path, size: int) -> None:
    with pytest.raises(InvalidBlob):
        store.open_partial(ROOT, size)
    with pytest.raises(InvalidBlob):
        store.put(b"")
    with pytest.raises(InvalidBlob):
        store.open_partial(Hash(ROOT[:-1]), len(DATA))
    assert list_files(tmp_path / "blobs") == []


def test_a_partial_blob_is_one_object_while_it_is_open(store: BlobStore) -> None:
    first = store.open_partial(ROOT, len(DATA))
    assert store.open_partial(ROOT, len(DATA)) is first
    fill(first, [2])
    first.close()
    first.close()
    with pytest.raises(Fault, match="closed"):
        fill(first, [3])
    second = store.open_partial(ROOT, len(DATA))
    assert second is not first
    assert second.missing_chunks == (0, 1, 3, 4, 5)


def test_giving_up_drops_what_was_kept(store: BlobStore, tmp_path: Path) -> None:
    partial = store.open_partial(ROOT, len(DATA))
    fill(partial, [1])
    partial.discard()
    assert list_files(tmp_path / "blobs") == []
    assert len(store.open_partial(ROOT, len(DATA)).missing_chunks) == 6


def test_a_blob_that_is_not_here_is_refused_everywhere(store: BlobStore) -> None:
    assert not store.has(ROOT)
    assert not store.has(Hash(b"../../etc/passwd"))
    for use in (store.size, store.read, store.delete, lambda root: store.read_chunk(root, 0)):
        with pytest.raises(BlobUnknown):
            use(ROOT)


def test_a_whole_blob_needs_no_transfer(store: BlobStore) -> None:
    store.put(DATA)
    with pytest.raises(BlobPresent):
        store.open_partial(ROOT, len(DATA))


def test_a_deleted_blob_is_gone_with_its_files(store: BlobStore, tmp_path: Path) -> None:
    store.put(DATA)
    store.read_chunk(ROOT, 0)
    store.delete(ROOT)
    assert not store.has(ROOT)
    assert list_files(tmp_path / "blobs") == []
    with pytest.raises(BlobUnknown):
        store.read_chunk(ROOT, 0)


def test_a_blob_that_the_disk_spoiled_is_a_fault_and_never_served(store: BlobStore, tmp_path: Path) -> None:
    store.put(DATA)
    file = tmp_path / "blobs" / f"{ROOT.hex()}.blob"
    with file.open("r+b") as spoiled:
        spoiled.write(b"\x00\x01\x02")
    with pytest.raises(DataDamaged):
        store.read(ROOT)
    with pytest.raises(DataDamaged):
        store.read_chunk(ROOT, 0)
    assert store.read_chunk(ROOT, 1)[0] == CHUNKS[1]
    file.with_suffix(".leaves").write_bytes(bytes(6 * 32))
    with pytest.raises(DataDamaged):
        BlobStore(tmp_path / "blobs").read_chunk(ROOT, 1)


def test_a_put_that_fails_leaves_nothing_and_works_later(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DiskFailed):
        store.put(DATA)
    monkeypatch.undo()
    assert list_files(tmp_path / "blobs") == []
    assert store.read(store.put(DATA)) == DATA


def test_drafts_that_a_crash_left_are_swept_at_start(store: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "blobs" / f"{ROOT.hex()}.blob.tmp").write_bytes(b"half")
    BlobStore(tmp_path / "blobs")
    assert list_files(tmp_path / "blobs") == []
