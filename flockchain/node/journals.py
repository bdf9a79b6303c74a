"""The journals of a data folder, opened; one that may have forgotten votes says so in the journal itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flockchain.replica.vote_records import examine_votes
from flockchain.storage.archive import Archive
from flockchain.storage.journal import open_journal
from flockchain.storage.journals import Journals

__all__ = ["examine_journals", "open_journals"]


def open_journals(folder: Path) -> Journals:
    """Both journals. Raises `DataDamaged` for one that is not what was written."""
    votes = open_journal(folder / "votes.journal")
    try:
        return Journals(votes, open_journal(folder / "duties.journal"))
    except BaseException:
        votes.close()
        raise


def examine_journals(journals: Journals, archive: Archive, now_ms: int, log: Any, *, is_accepted: bool) -> None:
    """Compare the vote journal with what the archive knows of it, before anything of it is believed."""
    suspicion = examine_votes(journals.votes, archive, now_ms, is_accepted=is_accepted)
    if suspicion is not None:
        log.warning("records of what this node signed may be missing; it will not vote until an epoch begins",
                    reason=suspicion, way_out="wait; or see `flockchain start --accept-restored`")  # fmt: skip
