"""The vote journal as it is found at a start: whether it may be believed, written down where it cannot get lost.

Both hosts call this before they make a replica, which then goes by the records alone. Knows a journal's mark and its
records; not how they are stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from flockchain.consensus.guard import GUARD_RECORD, SuspectRecord
from flockchain.storage.journal_mark import JournalMark, find_suspicion

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


def examine_votes(
    journal: VoteJournal, kept: JournalMark | None, now_ms: int, *, has_chain: bool, is_accepted: bool = False
) -> str | None:
    """Write a suspicion into the journal, and return its reason; None for a journal that is what was written last.

    `is_accepted`: the operator vouches that nothing was signed with this key but what is in the journal, and that no
    other node has it. Then the journal is taken as it is, and earlier suspicions end.
    """
    suspicion = find_suspicion(journal, kept, has_chain=has_chain)
    if is_accepted:
        journal.rewrite((*journal.records(), GUARD_RECORD.encode(SuspectRecord(0))))
        return None
    if suspicion is not None:
        journal.rewrite((*journal.records(), GUARD_RECORD.encode(SuspectRecord(now_ms))))
    return suspicion
