"""What the chain knows of the vote journal beside it, when the journal is gone."""

from __future__ import annotations

from pathlib import Path

from flockchain.storage.journal import open_journal
from flockchain.storage.journal_mark import JournalMark, find_suspicion


def test_a_lost_journal_is_noticed_also_when_an_installation_left_no_chain(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "votes.journal")
    kept = JournalMark(b"\1" * 16, 5)
    assert find_suspicion(journal, None, has_chain=False) is None
    assert find_suspicion(journal, None, has_chain=True) is not None
    assert find_suspicion(journal, kept, has_chain=False) is not None
    journal.close()
