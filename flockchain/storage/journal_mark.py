"""How far a journal had come, kept where the journal is not: so that an old copy of it, or a part of it, is noticed.

The archive keeps the vote journal's mark with every batch. Knows two numbers of a journal and nothing of its records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from flockchain.primitives.codec import U64, FixedBytes, struct
from flockchain.storage.record_file import ID_BYTES

__all__ = ["JOURNAL_MARK", "JournalMark", "find_suspicion"]


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

    `kept` is the mark that came with the newest blocks, `has_chain` whether there are any beyond genesis. A mark
    without a chain is what an installation leaves whose chunks were lost.
    """
    if journal.is_new:
        is_lost = has_chain or kept is not None
        return "there is, or was, a chain in this folder but no journal of votes" if is_lost else None
    if journal.is_copy:
        return "the journal of votes is a copy of the file that was written"
    if kept is None:
        return None
    if kept.journal != journal.mark.journal:
        return "the journal of votes is not the one that this chain was written with"
    if kept.count > journal.mark.count:
        return f"the journal of votes has {journal.mark.count} records, the chain knows of {kept.count}"
    return None
