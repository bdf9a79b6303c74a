"""The vote journal as it is found at a start: what of a folder says that there was one."""

from __future__ import annotations

from pathlib import Path

import pytest

from flockchain.consensus.guard import GUARD_RECORD, SuspectRecord
from flockchain.replica.vote_records import examine_votes
from flockchain.storage.archive import Archive
from flockchain.storage.journal import open_journal
from flockchain.storage.memory_store import MemoryStore


class Folder:
    """A data folder over the starts of its node."""

    def __init__(self, path: Path) -> None:
        self.file = path / "votes.journal"
        self.store = MemoryStore()

    def start(self, *new: bytes, now_ms: int = 5, is_accepted: bool = False) -> tuple[str | None, tuple[bytes, ...]]:
        """Why the journal is suspected, and what is in it then; the process adds `new` and ends."""
        journal = open_journal(self.file)
        suspicion = examine_votes(journal, Archive(self.store), now_ms, is_accepted=is_accepted)
        found = journal.records()
        for record in new:
            journal.append(record)
        journal.close()
        return suspicion, found


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


SUSPECT = (GUARD_RECORD.encode(SuspectRecord(5)),)
ACCEPTED = GUARD_RECORD.encode(SuspectRecord(0))


def test_a_new_node_is_not_suspected_nor_is_it_at_its_next_start(folder: Folder) -> None:
    assert folder.start(b"a vote") == (None, ())
    assert folder.start() == (None, (b"a vote",))


def test_a_journal_that_is_gone_is_noticed_before_there_is_a_chain(folder: Folder) -> None:
    folder.start(b"a vote")
    folder.file.unlink()
    suspicion, found = folder.start()
    assert suspicion is not None
    assert found == SUSPECT


def test_a_suspicion_lasts_from_the_moment_that_it_arose(folder: Folder) -> None:
    folder.start(b"a vote")
    folder.file.unlink()
    folder.start()
    assert folder.start(now_ms=9) == (None, SUSPECT)


def test_a_journal_that_the_operator_vouched_for_is_not_suspected_again(folder: Folder) -> None:
    folder.start(b"a vote")
    folder.file.unlink()
    assert folder.start(is_accepted=True) == (None, (ACCEPTED,))
    assert folder.start() == (None, (ACCEPTED,))


def test_a_lost_chain_does_not_silence_a_node_whose_journal_is_whole(folder: Folder) -> None:
    folder.start(b"a vote")
    folder.store = MemoryStore()
    assert folder.start() == (None, (b"a vote",))
    folder.file.unlink()
    assert folder.start()[0] is not None
