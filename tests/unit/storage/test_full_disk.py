"""A disk that is really full, and a database that is really damaged: a typed fault, and nothing lost.

The disk is a small tmpfs where this process may mount one, and a limit on the size of files in a
process of its own everywhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flockchain.crypto.merkle import compute_audit_path, compute_root
from flockchain.primitives.errors import Fault
from flockchain.primitives.limits import CHUNK_BYTES
from flockchain.storage.blobs import BlobStore
from flockchain.storage.disk import DataDamaged, DiskFull
from flockchain.storage.journal import open_journal
from flockchain.storage.level_store import LevelStore

ROOT = Path(__file__).parents[3]
RECORD = bytes(range(256)) * 8

LIMITED = """
import resource, sys
from pathlib import Path
from flockchain.storage.disk import DiskFull
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
path, count = Path(sys.argv[1]), 0
{opening}
try:
    while True:
        {step}
        count += 1
except DiskFull:
    print(count)
"""
FILL_STORE = LIMITED.format(
    opening="from flockchain.storage.level_store import LevelStore; import os; store = LevelStore(path)",
    step="store.write({b'%06d' % count: os.urandom(2048), b'last': b'%06d' % count}, sync=True)",
)
FILL_JOURNAL = LIMITED.format(
    opening="from flockchain.storage.journal import open_journal; journal = open_journal(path)",
    step="journal.append(b'%06d' % count + bytes(2042))",
)
PUT_BLOB = LIMITED.format(
    opening="from flockchain.storage.blobs import BlobStore; store = BlobStore(path)",
    step="store.put(bytes([count]) * 100_000 * (count + 1))",
)


def run_limited(script: str, path: Path) -> int:
    """Run until the limit is hit; how many steps were done before."""
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    made = subprocess.run([mount, "-t", "tmpfs", "-o", "size=2m", "none", str(path)], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("this machine does not let us mount a small disk")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def count_until_full(step: Callable[[int], None]) -> int:
    """Take steps 0, 1, 2, … until the disk is full; how many succeeded."""
    for number in range(100_000):
        try:
            step(number)
        except DiskFull:
            return number
    pytest.fail("the disk never got full")


def grow(path: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", str(path)], check=True)


def test_a_database_that_may_not_grow_keeps_every_batch_that_was_acknowledged(tmp_path: Path) -> None:
    count = run_limited(FILL_STORE, tmp_path / "store")
    assert count > 50
    store = LevelStore(tmp_path / "store")
    keys = [key for key, _ in store.scan(b"0")]
    assert keys[:count] == [b"%06d" % number for number in range(count)]
    assert len(keys) <= count + 1
    assert store.get(b"last") == keys[-1]
    store.write({b"more": b"1"}, sync=True)
    store.close()


def test_a_journal_that_may_not_grow_keeps_every_record_that_was_acknowledged(tmp_path: Path) -> None:
    count = run_limited(FILL_JOURNAL, tmp_path / "journal")
    assert count > 50
    journal = open_journal(tmp_path / "journal")
    assert [record[:6] for record in journal.records()] == [b"%06d" % number for number in range(count)]
    journal.append(b"more")
    journal.close()


def test_a_blob_that_may_not_be_written_is_not_there_and_the_others_are(tmp_path: Path) -> None:
    count = run_limited(PUT_BLOB, tmp_path / "blobs")
    store = BlobStore(tmp_path / "blobs")
    blobs = sorted(store.read(root) for root in store.roots())
    assert blobs == [bytes([number]) * 100_000 * (number + 1) for number in range(count)]
    assert count == 3


def test_a_database_on_a_full_disk_takes_no_more_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    store = LevelStore(small_disk / "store")
    count = count_until_full(lambda number: store.write({b"%06d" % number: os.urandom(2048)}, sync=True))
    assert store.get(b"%06d" % (count - 1)) is not None
    grow(small_disk)
    with pytest.raises(Fault, match="failed to write before"):
        store.write({b"late": b"1"}, sync=True)
    store.close()
    again = LevelStore(small_disk / "store")
    keys = [key for key, _ in again.scan(b"0")]
    assert keys[:count] == [b"%06d" % number for number in range(count)]
    again.write({b"late": b"1"}, sync=True)
    again.close()


def test_a_database_cannot_be_opened_on_a_full_disk_and_says_so(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(2**21 - 3 * 4096))
    with pytest.raises(DiskFull):
        LevelStore(small_disk / "store")
    (small_disk / "filler").unlink()
    shutil.rmtree(small_disk / "store")
    LevelStore(small_disk / "store").close()


def test_a_journal_on_a_full_disk_loses_nothing_and_goes_on_when_opened_again(small_disk: Path) -> None:
    journal = open_journal(small_disk / "journal")
    count = count_until_full(lambda _: journal.append(RECORD))
    with pytest.raises(Fault):
        journal.append(b"small")
    journal.close()
    grow(small_disk)
    again = open_journal(small_disk / "journal")
    assert again.records() == (RECORD,) * count
    again.append(b"small")
    again.close()


def test_compacting_a_journal_on_a_full_disk_keeps_the_old_one(small_disk: Path) -> None:
    journal = open_journal(small_disk / "journal")
    for _ in range(600):
        journal.append(RECORD)
    with pytest.raises(DiskFull):
        journal.rewrite([RECORD] * 500)
    assert os.listdir(small_disk) == ["journal"]
    journal.append(b"goes on")
    journal.rewrite([b"short"])
    assert journal.records() == (b"short",)
    journal.close()


def test_a_transfer_on_a_full_disk_keeps_its_chunks_and_finishes_when_there_is_room(small_disk: Path) -> None:
    chunks = [bytes([number]) * CHUNK_BYTES for number in range(10)]
    paths = [compute_audit_path(chunks, index) for index in range(10)]
    store = BlobStore(small_disk / "blobs")
    root = compute_root(chunks)
    partial = store.open_partial(root, 10 * CHUNK_BYTES)
    kept = count_until_full(lambda index: partial.put_chunk(index, chunks[index], paths[index]))
    missing = partial.missing_chunks
    assert 0 < kept < 10
    assert missing == tuple(range(kept, 10))
    with pytest.raises(DiskFull):
        store.put(bytes(3 * CHUNK_BYTES))
    assert list(store.roots()) == []
    partial.close()
    grow(small_disk)
    resumed = BlobStore(small_disk / "blobs").open_partial(root, 10 * CHUNK_BYTES)
    assert resumed.missing_chunks == missing
    for index in missing:
        resumed.put_chunk(index, chunks[index], paths[index])
    resumed.finish()
    assert store.read(root) == b"".join(chunks)


def fill_store(path: Path) -> None:
    store = LevelStore(path)
    for start in range(0, 3000, 100):
        puts = {b"%06d" % number: os.urandom(500) for number in range(start, start + 100)}
        store.write(puts, sync=start == 2900)
    store.close()


def test_a_flipped_bit_in_the_databases_log_is_damage(tmp_path: Path) -> None:
    fill_store(tmp_path)
    (log,) = tmp_path.glob("*.log")
    spoiled = bytearray(log.read_bytes())
    spoiled[len(spoiled) // 2] ^= 1
    log.write_bytes(spoiled)
    with pytest.raises(DataDamaged):
        LevelStore(tmp_path)
    with pytest.raises(DataDamaged):  # and the folder is not left locked
        LevelStore(tmp_path)


def test_a_flipped_bit_in_a_table_is_damage_when_it_is_read_and_a_missing_table_at_once(tmp_path: Path) -> None:
    fill_store(tmp_path)
    LevelStore(tmp_path).close()  # moves the log into a table
    (table,) = tmp_path.glob("*.ldb")
    spoiled = bytearray(table.read_bytes())
    spoiled[len(spoiled) // 2] ^= 1
    table.write_bytes(spoiled)
    store = LevelStore(tmp_path)
    with pytest.raises(DataDamaged):
        list(store.scan(b""))
    with pytest.raises(DataDamaged):
        [store.get(b"%06d" % number) for number in range(3000)]
    store.close()
    table.unlink()
    with pytest.raises(DataDamaged):
        LevelStore(tmp_path)
