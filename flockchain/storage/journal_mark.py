"""How far a journal had come, kept where the journal is not: so that an old copy of it, or a part of it, is noticed.

The archive keeps the vote journal's mark from the start on that begins the journal, and with every batch. Knows two
numbers of a journal and nothing of its records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from flockchain.primitives.codec import U64, FixedBytes, struct
from flockchain.storage.record_file import ID_BYTES

__all__ = ["JOURNAL_MARK", "JournalMark", "covers", "find_suspicion"]


@dataclass(frozen=True, slots=True)
class JournalMark:
    """`journal` is the random id of a journal, `count` how many records it has ever taken."""

    journal: bytes
    count: int


JOURNAL_MARK: Final = struct(JournalMark, journal=FixedBytes(ID_BYTES), count=U64)


class _Journal(Protocol):
    is_new: bool

    @property
    def mark(self) -> JournalMark: ...

    @property
    def is_copy(self) -> bool: ...


def find_suspicion(journal: _Journal, kept: JournalMark | None, *, has_chain: bool) -> str | None:
    """Why `journal` may lack records that were acknowledged, or None.

    `kept` is the mark that came with the newest blocks, or was put when the journal was begun; `has_chain`: whether
    there are blocks beyond genesis. A mark without a chain is what is left where a journal went before the first block,
    or an installation lost its chunks.
    """
    if journal.is_new:
        is_lost = has_chain or kept is not None
        return "there was a journal of votes in this folder, or there is a chain, and no journal" if is_lost else None
    if journal.is_copy:
        return "the journal of votes is a copy of the file that was written"
    if kept is None:
        return None
    if kept.journal != journal.mark.journal:
        return "the journal of votes is not the one that this chain was written with"
    if kept.count > journal.mark.count:
        return f"the journal of votes has {journal.mark.count} records, the chain knows of {kept.count}"
    return None


def covers(mark: JournalMark, kept: JournalMark | None) -> bool:
    """Whether `kept` is of the journal at `mark`, and of a moment when it had not come further."""
    return kept is not None and kept.journal == mark.journal and kept.count <= mark.count
