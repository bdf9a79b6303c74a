"""The data folder of a simulated node: production archive and journals on a simulated disk, and its operator.

The operator does what the message of a stopped node says, and no more. Knows which file is which; not what is in them.
"""

from __future__ import annotations

from random import Random
from typing import Final

from flockchain.primitives.errors import Fault
from flockchain.replica.vote_records import examine_votes
from flockchain.sim.sim_disk import SimDisk
from flockchain.sim.sim_store import STORE_NAME
from flockchain.storage.archive import Archive
from flockchain.storage.disk import DataDamaged, DiskFull
from flockchain.storage.journal import Journal
from flockchain.storage.journals import Journals

__all__ = ["DUTIES_NAME", "VOTES_NAME", "SimFolder"]

VOTES_NAME: Final = "votes.journal"
DUTIES_NAME: Final = "duties.journal"


class SimFolder:
    """`archive` can always be read, as far as its disk can; `journals` only while a process has them open."""

    def __init__(self, rng: Random) -> None:
        self.disk = SimDisk(rng)
        self.store = self.disk.open_store()
        self.archive = Archive(self.store)
        self.journals: Journals | None = None
        self.stopped_by: Fault | None = None  # what the operator has not looked at yet

    def open(self, now_ms: int) -> tuple[Journals, list[str]]:
        """What a process does at its start. The journals, and what is worth a mark. Raises `Fault` like a real disk."""
        self._repair()
        self.store = self.disk.open_store()
        self.archive = Archive(self.store)
        votes = Journal(self.disk.open_file(VOTES_NAME))
        duties = Journal(self.disk.open_file(DUTIES_NAME))
        self.journals = Journals(votes, duties)
        marks = ["journal replay"] if votes.records() else []
        marks += ["torn tail"] if votes.dropped_bytes or duties.dropped_bytes else []
        if examine_votes(votes, self.archive, now_ms) is not None:
            marks.append("suspicion")
        return self.journals, marks

    def crash(self) -> None:
        """The process is gone, or the machine."""
        self.disk.crash()
        self.journals = None
        self.store = self.disk.open_store()
        self.archive = Archive(self.store)

    def wipe(self) -> None:
        """Everything is lost."""
        self.disk = SimDisk(self.disk.rng)
        self.crash()

    def require_journals(self) -> Journals:
        """The open journals."""
        if self.journals is None:
            raise Fault("the journals are closed")
        return self.journals

    def _repair(self) -> None:
        """Room is made, a bad disk replaced by its copy, a damaged file moved away."""
        fault, self.stopped_by = self.stopped_by, None
        if isinstance(fault, DiskFull):
            self.disk.is_full = False
        elif isinstance(fault, DataDamaged):
            name = str(fault.values["path"])
            if name == STORE_NAME:
                self.disk.store.restore({})
            else:
                self.disk.remove(name)
        elif fault is not None:
            self.disk.is_failing = False
