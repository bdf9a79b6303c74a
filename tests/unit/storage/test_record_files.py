"""Torn writes, bad sectors and lying disks against the journal, on a disk that does all of it on purpose."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path
from random import Random

import pytest

from flockchain.sim.sim_disk import SimDisk, Tear
from flockchain.sim.sim_store import PowerLossError
from flockchain.storage.disk import DataDamaged, DiskFailed, DiskFull
from flockchain.storage.journal import Journal, open_journal
from flockchain.storage.record_file import SECTOR_BYTES, DiskRecordFile

NAME = "votes.journal"
LONG = bytes(range(1, 200)) * 12  # lies in several sectors
SPARSE = b"head" + bytes(3 * SECTOR_BYTES) + b"tail"  # some of them zeros by right


def build(*records: bytes) -> tuple[SimDisk, Journal]:
    disk = SimDisk(Random(1))
    journal = Journal(disk.open_file(NAME))
    for record in records:
        journal.append(record)
    return disk, journal


def reopen(disk: SimDisk) -> Journal:
    return Journal(disk.open_file(NAME))


def list_sectors(start: int, end: int) -> list[tuple[int, int]]:
    edges = [start, *range((start // SECTOR_BYTES + 1) * SECTOR_BYTES, end, SECTOR_BYTES), end]
    return list(pairwise(edges))


@pytest.mark.parametrize(
    "record", [b"last", b"", bytes(60), LONG, SPARSE], ids=["text", "empty", "zeros", "long", "sparse"]
)
def test_whatever_sectors_of_an_append_reach_the_disk_the_journal_is_as_before_or_after_it(record: bytes) -> None:
    disk, journal = build(b"first", LONG)
    before = len(disk.read(NAME))
    journal.append(record)
    whole = disk.read(NAME)
    sectors = list_sectors(before, len(whole))
    for kept in product((False, True), repeat=len(sectors)):
        torn = bytearray(whole)
        for (start, stop), is_kept in zip(sectors, kept, strict=True):
            if not is_kept:
                torn[start:stop] = bytes(stop - start)
        image = disk.copy()
        image.files[NAME] = bytes(torn)
        disk.restore(image)
        found = reopen(disk)
        records = found.records()
        assert records[:2] == (b"first", LONG)
        assert records[2:] in ((), (record,))
        assert records[2:] == (record,) or bytes(torn) != whole
        found.append(b"goes on")
        assert reopen(disk).records() == (*records, b"goes on")


@pytest.mark.parametrize("record", [b"last", b"", LONG, SPARSE], ids=["text", "empty", "long", "sparse"])
def test_any_flipped_bit_anywhere_in_the_last_record_too_is_damage(record: bytes) -> None:
    disk, _ = build(b"first", record)
    length = len(disk.read(NAME))
    for position in range(length):
        disk.flip(NAME, position, position % 8)
        with pytest.raises(DataDamaged, match="move it away"):
            reopen(disk)
        disk.flip(NAME, position, position % 8)
    assert reopen(disk).records() == (b"first", record)


def test_a_zeroed_sector_before_the_last_record_is_damage_not_an_end() -> None:
    disk, _ = build(*[LONG] * 4)
    whole = disk.read(NAME)
    last = len(whole) - len(LONG) - 64
    for start, stop in list_sectors(SECTOR_BYTES, last - last % SECTOR_BYTES):
        image = disk.copy()
        image.files[NAME] = whole[:start] + bytes(stop - start) + whole[stop:]
        disk.restore(image)
        with pytest.raises(DataDamaged):
            reopen(disk)


@pytest.mark.parametrize("tear", list(Tear))
def test_a_power_cut_in_an_append_leaves_the_journal_as_before_or_after_it(tear: Tear) -> None:
    for seed in range(60):
        disk, journal = build(b"first")
        disk.rng.seed(seed)
        disk.tear = tear
        with pytest.raises(PowerLossError):
            journal.append(LONG)
        disk.crash()
        found = reopen(disk).records()
        assert found in ((b"first",), (b"first", LONG))
        if tear is not Tear.SOME:
            assert (len(found) == 2) is (tear is Tear.ALL)


@pytest.mark.parametrize("tear", list(Tear))
def test_a_power_cut_in_a_rewrite_leaves_the_old_records_or_the_new(tear: Tear) -> None:
    disk, journal = build(b"old", b"older")
    disk.tear = tear
    with pytest.raises(PowerLossError):
        journal.rewrite([b"new"])
    disk.crash()
    assert reopen(disk).records() in ((b"old", b"older"), (b"new",))


def test_an_append_costs_one_sync() -> None:
    disk, journal = build()
    before = disk.syncs
    for _ in range(10):
        journal.append(LONG)
    assert disk.syncs == before + 10


def test_a_lying_disk_loses_records_whole_and_the_mark_kept_elsewhere_tells() -> None:
    disk, journal = build(b"first")
    disk.is_lying = True
    for _ in range(5):
        journal.append(LONG)
    kept = journal.mark
    disk.crash()
    found = reopen(disk)
    assert 1 <= len(found.records()) < 6
    assert found.mark.journal == kept.journal
    assert found.mark.count < kept.count


def test_a_full_or_failing_disk_is_a_typed_fault_and_keeps_what_was_acknowledged() -> None:
    disk, journal = build(b"first")
    disk.is_full = True
    with pytest.raises(DiskFull):
        journal.append(b"second")
    disk.heal()
    again = reopen(disk)
    disk.is_failing = True
    with pytest.raises(DiskFailed):
        again.append(b"second")
    disk.heal()
    assert reopen(disk).records() == (b"first",)


def test_the_mark_counts_what_was_ever_appended_and_rewriting_never_takes_it_back() -> None:
    disk, journal = build(b"a", b"b", b"c")
    assert journal.mark.count == 3
    journal.rewrite([b"c"])
    assert journal.mark.count == 4
    assert reopen(disk).mark == journal.mark


def test_a_copied_file_is_known_as_a_copy_until_it_is_rewritten(tmp_path: Path) -> None:
    original = open_journal(tmp_path / "journal")
    original.append(b"signed")
    assert not original.is_copy
    (tmp_path / "copy").write_bytes((tmp_path / "journal").read_bytes())
    copy = open_journal(tmp_path / "copy")
    assert copy.is_copy
    assert copy.records() == (b"signed",)
    copy.rewrite(copy.records())
    assert not copy.is_copy
    copy.close()
    assert not open_journal(tmp_path / "copy").is_copy
    assert not open_journal(tmp_path / "journal").is_copy


def test_a_file_keeps_its_identity_when_it_is_moved(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal")
    journal.close()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "journal").rename(tmp_path / "elsewhere" / "journal")
    moved = open_journal(tmp_path / "elsewhere" / "journal")
    assert not moved.is_copy
    moved.close()


def test_files_on_a_real_disk_and_on_a_simulated_one_hold_the_same_journal(tmp_path: Path) -> None:
    disk, journal = build()
    real = Journal(DiskRecordFile(tmp_path / "journal"))
    for each in (journal, real):
        each.append(b"first")
        each.append(LONG)
        each.rewrite([LONG])
        each.append(SPARSE)
    assert reopen(disk).records() == open_journal(tmp_path / "journal").records() == (LONG, SPARSE)
    assert len(disk.read(NAME)) == (tmp_path / "journal").stat().st_size
