"""The vote journal as it is found at a start: whether it may be believed, written down where it cannot get lost.

Both hosts call this before they make a replica, which then goes by the records alone. Knows a journal's mark and its
records, and where the mark is kept; not how either is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from flockchain.consensus.guard import GUARD_RECORD, SuspectRecord
from flockchain.storage.archive import Archive
from flockchain.storage.journal_mark import JournalMark, covers, find_suspicion

__all__ = ["VoteJournal", "examine_votes"]


class VoteJournal(Protocol):
    """`storage.journal.Journal` has this shape."""

    is_new: bool

    @property
    def mark(self) -> JournalMark: ...

    @property
    def is_copy(self) -> bool: ...

    def records(self) -> tuple[bytes, ...]: ...

    def rewrite(self, records: Iterable[bytes]) -> None: ...


def examine_votes(journal: VoteJournal, archive: Archive, now_ms: int, *, is_accepted: bool = False) -> str | None:
    """Write a suspicion into the journal, and return its reason; None for a journal that is what was written last.

    From here on the archive knows this journal: before anything is signed, so that a journal that is moved away later
    leaves a trace, be it at genesis.
    `is_accepted`: the operator vouches that nothing was signed with this key but what is in the journal, and that no
    other node has it. Then the journal is taken as it is, and earlier suspicions end.
    """
    head, kept = archive.get_head(), archive.get_journal_mark()
    suspicion = find_suspicion(journal, kept, has_chain=head is not None and head.height > 0)
    if is_accepted:
        suspicion = None
        journal.rewrite((*journal.records(), GUARD_RECORD.encode(SuspectRecord(0))))
    elif suspicion is not None:
        journal.rewrite((*journal.records(), GUARD_RECORD.encode(SuspectRecord(now_ms))))
    if not covers(journal.mark, kept):
        archive.put_journal_mark(journal.mark)
    return suspicion
