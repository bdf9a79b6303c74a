"""What this node signed and promised, on disk before it is said: the vote guard's journal and the duties' journal.

Both only grow; records that can never matter again are dropped by rewriting. What matters is for others to say: knows
nothing of records but their length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from flockchain.primitives.limits import KIB, MIB
from flockchain.storage.journal import Journal
from flockchain.storage.journal_mark import JournalMark

__all__ = ["COMPACT_AT_BYTES", "COMPACT_VOTES_AT_BYTES", "Journals"]

COMPACT_AT_BYTES: Final = 512 * KIB
COMPACT_VOTES_AT_BYTES: Final = 16 * MIB  # vote records hold the bodies that we notarized


class Journals:
    """The two files of a data folder. Every `append` is on disk when it returns, or raises a `Fault`."""

    def __init__(self, votes: Journal, duties: Journal) -> None:
        self.votes = votes
        self.duties = duties
        self._duties_compact_at = COMPACT_AT_BYTES
        self._votes_compact_at = COMPACT_VOTES_AT_BYTES

    @property
    def vote_records(self) -> tuple[bytes, ...]:
        """Encoded guard records, oldest first."""
        return self.votes.records()

    @property
    def duty_records(self) -> tuple[bytes, ...]:
        """Encoded duty records, oldest first."""
        return self.duties.records()

    @property
    def vote_mark(self) -> JournalMark:
        """How far the vote journal has come; belongs into the archive's next batch."""
        return self.votes.mark

    def append_vote(self, record: bytes) -> None:
        """Keep a guard record."""
        self.votes.append(record)

    def append_duty(self, record: bytes, get_records: Callable[[], list[bytes]]) -> None:
        """Keep a duty record; a file that grew long is rewritten to `get_records()`, which holds `record` too."""
        if self.duties.size_bytes + len(record) < self._duties_compact_at:
            self.duties.append(record)
            return
        self.duties.rewrite(get_records())
        self._duties_compact_at = 2 * self.duties.size_bytes + COMPACT_AT_BYTES

    def on_epoch(self, keep: Callable[[Iterable[bytes]], Iterable[bytes]]) -> None:
        """An epoch is open and everything before it final: of a long vote journal only what is in `keep` stays."""
        if self.votes.size_bytes >= COMPACT_AT_BYTES:
            self.votes.rewrite(keep(self.votes.records()))

    def compact_votes(self, get_records: Callable[[], Iterable[bytes]]) -> None:
        """Rewrite a journal that grew long within an epoch. Only when the final blocks are on disk."""
        if self.votes.size_bytes < self._votes_compact_at:
            return
        self.votes.rewrite(get_records())
        self._votes_compact_at = 2 * self.votes.size_bytes + COMPACT_VOTES_AT_BYTES

    def close(self) -> None:
        """Release the files."""
        self.votes.close()
        self.duties.close()
