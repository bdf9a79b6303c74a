"""Journals: what was appended is there, a torn end is dropped, damage is never taken for it."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flockchain.primitives.errors import Fault, InvariantBroken
from flockchain.sim.sim_disk import SimDisk
from flockchain.storage.disk import DataDamaged, DiskFailed
from flockchain.storage.journal import RECORD_BYTES_MAX, Journal, open_journal

RECORDS = [b"first", b"", b"third" * 50, b"last"]
GOLDEN_HEX = (
    "464c4f434b4a4e4c00000002"  # magic and version
    "38b4e652e44da7f2370d9e260e271365"  # the journal's id
    "6b86b273ff34fce19d6b804eff5a3f57"  # the file's identity
    "00000000000000003ba32489"  # the first record's number, and the CRC
    "f10000000300000000"  # 0xf1, length 3, no zero sectors
    "f8bd53b6e764d92657893b91b61408638b94b4462f"  # the check, the CRC, the end of the head
    "6162631f"  # "abc", 0x1f
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "guard.journal"


def write(file: Path, records: list[bytes] = RECORDS) -> bytes:
    journal = open_journal(file)
    for record in records:
        journal.append(record)
    journal.close()
    return file.read_bytes()


def read(file: Path) -> list[bytes]:
    journal = open_journal(file)
    journal.close()
    return list(journal.records())


def test_a_new_journal_is_empty_and_keeps_what_is_appended(file: Path) -> None:
    journal = open_journal(file)
    assert journal.records() == ()
    for number, record in enumerate(RECORDS, 1):
        journal.append(record)
        assert list(journal.records()) == RECORDS[:number] == read(file)
    assert journal.size_bytes == file.stat().st_size
    journal.close()


def test_the_file_is_the_golden_one() -> None:
    disk = SimDisk(Random(7))
    Journal(disk.open_file("guard.journal")).append(b"abc")
    assert disk.read("guard.journal").hex() == GOLDEN_HEX


def test_appending_goes_on_after_opening_again(file: Path) -> None:
    write(file)
    write(file, [b"more"])
    assert read(file) == [*RECORDS, b"more"]


@pytest.mark.parametrize("record", [b"last", b"", bytes(60)], ids=["text", "empty", "zeros"])
def test_a_record_torn_at_any_byte_is_dropped_and_the_journal_goes_on(file: Path, record: bytes) -> None:
    before = write(file, RECORDS[:3])
    whole = write(file, [record])
    for cut in range(len(before), len(whole)):
        file.write_bytes(whole[:cut])
        assert read(file) == RECORDS[:3]
        assert file.read_bytes() == before
        write(file, [b"next"])
        assert read(file) == [*RECORDS[:3], b"next"]


def test_an_end_of_zeros_is_a_torn_record(file: Path) -> None:
    whole = write(file)
    file.write_bytes(whole + bytes(4096))
    assert read(file) == RECORDS
    assert file.read_bytes() == whole


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_flipped_bit_before_the_last_record_is_damage(tmp_path: Path, data: st.DataObject) -> None:
    file = tmp_path / "guard.journal"
    file.unlink(missing_ok=True)
    before_last = len(write(file, RECORDS[:-1]))
    spoiled = bytearray(write(file, RECORDS[-1:]))
    position = data.draw(st.integers(0, before_last - 1))
    spoiled[position] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(spoiled)
    with pytest.raises(DataDamaged):
        open_journal(file)
    assert file.read_bytes() == spoiled


@pytest.mark.parametrize("data", [b"", b"FLOCKJNL", b"FLOCKJNL\x00\x00\x00\x02", b"something else"])
def test_another_file_is_damage_and_is_left_alone(file: Path, data: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(data)
    with pytest.raises(DataDamaged):
        open_journal(file)
    assert file.read_bytes() == data


def test_rewriting_replaces_all_records_and_appending_goes_on(file: Path) -> None:
    journal = open_journal(file)
    for record in RECORDS:
        journal.append(record)
    journal.rewrite([b"kept"])
    journal.append(b"new")
    assert list(journal.records()) == [b"kept", b"new"] == read(file)
    assert os.listdir(file.parent) == [file.name]
    journal.close()


def test_a_rewrite_that_fails_leaves_the_old_records(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = open_journal(file)
    journal.append(b"old")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(DiskFailed):
        journal.rewrite([b"new"])
    monkeypatch.undo()
    journal.append(b"later")
    assert list(journal.records()) == [b"old", b"later"] == read(file)
    journal.close()


def test_after_a_failed_sync_a_journal_takes_nothing_more(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = open_journal(file)
    journal.append(b"old")

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(DiskFailed):
        journal.append(b"lost")
    monkeypatch.undo()
    with pytest.raises(Fault, match="failed before"):
        journal.append(b"again")
    assert journal.records() == (b"old",)
    journal.close()
    assert read(file) == [b"old"]


def test_a_closed_journal_and_a_giant_record_are_refused(file: Path) -> None:
    journal = open_journal(file)
    with pytest.raises(InvariantBroken):
        journal.append(bytes(RECORD_BYTES_MAX + 1))
    journal.close()
    journal.close()
    with pytest.raises(Fault, match="closed"):
        journal.append(b"late")
    assert read(file) == []
