"""When a leader proposes, and what it puts into the block.

With something to include it proposes at once; with nothing it waits until the chain's idle pace is due.
Knows the parent's state, the pools and the pace. Does not know votes or views beyond the one it leads.
"""

from __future__ import annotations

from dataclasses import dataclass

from flockchain.primitives.block import Block
from flockchain.primitives.numbers import AccountId, Epoch, Hash, Height, TimestampMs, View
from flockchain.replica.accusations import Accusations
from flockchain.replica.admission import Admission
from flockchain.replica.learning_desk import LearningDesk
from flockchain.runtime.executive import BlockDraft
from flockchain.runtime.learning_views import is_round_due
from flockchain.runtime.ledger import ExecutedBlock, Ledger

__all__ = ["Assignment", "Pace", "Proposer"]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast blocks follow one another, in ms after the parent's timestamp."""

    idle_ms: int  # with nothing to include
    busy_ms: int  # with something to include: time for a batch to gather
    drift_max_ms: int = 2_000  # how far a block's timestamp may be ahead of our clock


@dataclass(frozen=True, slots=True)
class Assignment:
    """A view that we lead and have not proposed in yet."""

    epoch: Epoch
    view: View
    parent_hash: Hash
    reveal: bytes


class Proposer:
    """Holds at most one assignment: the current one."""

    def __init__(
        self, ledger: Ledger, admission: Admission, desk: LearningDesk, accusations: Accusations, pace: Pace,
        account: AccountId,
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._admission = admission
        self._desk = desk
        self._pace = pace
        self._account = account
        self._accusations = accusations
        self.assignment: Assignment | None = None

    def compute_wait_ms(self, now_ms: int) -> int:
        """How long to wait before `build`: 0 when it is due, or when the parent is not here."""
        parent = self._find_parent()
        if parent is None:
            return 0
        pace_ms = self._pace.busy_ms if self._has_work(parent) else self._pace.idle_ms
        return max(0, min(pace_ms, parent.header.timestamp_ms + pace_ms - now_ms))

    def build(self, now_ms: int) -> Block | None:
        """The block for the current assignment, which is then done; None if its parent is not executed here."""
        assignment, parent = self.assignment, self._find_parent()
        self.assignment = None
        if assignment is None or parent is None:
            return None
        height = Height(parent.header.height + 1)
        draft = BlockDraft(
            parent=parent.header,
            parent_hash=parent.block_hash,
            view=assignment.view,
            epoch=assignment.epoch,
            proposer=self._account,
            timestamp_ms=TimestampMs(max(now_ms, parent.header.timestamp_ms + 1)),
            reveal=assignment.reveal,
            evidence=self._accusations.take(),
            learning=tuple(self._desk.take_for_block(parent.state)),
        )
        block = self._ledger.build(draft, self._admission.take_for_block(parent.state, height))
        self._desk.on_built(draft.learning, block.learning)
        self._accusations.on_built(draft.evidence, block.evidence)
        return block

    def _find_parent(self) -> ExecutedBlock | None:
        return None if self.assignment is None else self._ledger.get(self.assignment.parent_hash)

    def _has_work(self, parent: ExecutedBlock) -> bool:
        height = Height(parent.header.height + 1)
        if len(self._accusations) or is_round_due(parent.state, height) or self._desk.take_for_block(parent.state):
            return True
        return self._admission.has_ready(parent.state, height)
