"""What this node signed and promised, on disk before it is said: the vote guard's journal and the duties' journal.

Both only grow; records that can never matter again are dropped by rewriting. Knows of a guard record its epoch, and of
duty records nothing: the duty core says what must stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from flockchain.consensus.guard import GUARD_RECORD, CertificateRecord, GuardRecord
from flockchain.primitives.limits import KIB, MIB
from flockchain.primitives.numbers import Epoch
from flockchain.storage.journal import Journal

__all__ = ["Journals"]

COMPACT_AT_BYTES: Final = 512 * KIB
COMPACT_VOTES_AT_BYTES: Final = 16 * MIB  # vote records hold the bodies that we notarized


class Journals:
    """The two files of a data folder. Every `append` is on disk when it returns, or raises a `Fault`."""

    def __init__(self, folder: Path) -> None:
        self._votes = Journal(folder / "votes.journal")
        self._duties = Journal(folder / "duties.journal")
        self._duties_compact_at = COMPACT_AT_BYTES
        self._votes_compact_at = COMPACT_VOTES_AT_BYTES

    @property
    def vote_records(self) -> tuple[bytes, ...]:
        """Encoded guard records, oldest first."""
        return self._votes.records()

    @property
    def duty_records(self) -> tuple[bytes, ...]:
        """Encoded duty records, oldest first."""
        return self._duties.records()

    def append_vote(self, record: bytes) -> None:
        """Keep a guard record."""
        self._votes.append(record)

    def append_duty(self, record: bytes, get_records: Callable[[], list[bytes]]) -> None:
        """Keep a duty record; a file that grew long is rewritten to `get_records()`, which holds `record` too."""
        if self._duties.size_bytes + len(record) < self._duties_compact_at:
            self._duties.append(record)
            return
        self._duties.rewrite(get_records())
        self._duties_compact_at = 2 * self._duties.size_bytes + COMPACT_AT_BYTES

    def on_epoch(self, epoch: Epoch) -> None:
        """`epoch` is open, so everything before it is final: drop what was signed in earlier ones."""
        if self._votes.size_bytes < COMPACT_AT_BYTES:
            return
        kept = [record for record in self._votes.records() if _get_epoch(GUARD_RECORD.decode(record)) >= epoch]
        self._votes.rewrite(kept)

    def compact_votes(self, get_records: Callable[[], Iterable[GuardRecord]]) -> None:
        """Rewrite a journal that grew long within an epoch. Only when the final blocks are on disk."""
        if self._votes.size_bytes < self._votes_compact_at:
            return
        self._votes.rewrite([GUARD_RECORD.encode(record) for record in get_records()])
        self._votes_compact_at = 2 * self._votes.size_bytes + COMPACT_VOTES_AT_BYTES

    def close(self) -> None:
        """Release the files."""
        self._votes.close()
        self._duties.close()


def _get_epoch(record: GuardRecord) -> Epoch:
    return record.certificate.epoch if isinstance(record, CertificateRecord) else record.epoch
