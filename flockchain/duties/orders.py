"""What the duty core asks of its host, and what the host answers.

The order of effects is a contract: a `JournalDuty` is on disk before any later effect leaves the machine. Work orders
may take long, fail or never be answered; each answer names its round and comes back by `DutyCore.on_work_done`.
"""

from __future__ import annotations

from dataclasses import dataclass

from flockchain.primitives.learning import (
    AdapterSpec,
    AggregateVote,
    LearningItem,
    TaskSpec,
    UpdateRecord,
    UpdateStatus,
)
from flockchain.primitives.numbers import Hash, Round, TaskId

__all__ = [
    "Aggregate", "AggregateDone", "AggregateFailed", "AggregateOrder", "BlobFailed", "BlobFetched", "BlobRef",
    "DutyEffect", "DutyResult", "Evaluate", "EvaluateDone", "EvaluateFailed", "EvaluateOrder", "FetchBlob",
    "JournalDuty", "SubmitAggregateVote", "SubmitItem",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class BlobRef:
    """A blob by its RFC 6962 root, and its size."""

    root: Hash
    size_bytes: int


@dataclass(frozen=True, slots=True)
class EvaluateOrder:
    """Judge the updates of a closed set. All blobs but those of updates that are not available are in the store.

    `lineage`: FFA the model's last aggregate or nothing; STACK all of them, oldest first. `rows` are of the suite, in
    the order of the draw. The host computes `compute_findings` itself and shows the evaluator only updates without one.
    """

    task: TaskId
    round: Round
    spec: TaskSpec
    lineage: tuple[BlobRef, ...]
    suite: BlobRef
    rows: tuple[int, ...]
    updates: tuple[UpdateRecord, ...]
    is_available: tuple[bool, ...]  # one an update


@dataclass(frozen=True, slots=True)
class AggregateOrder:
    """Compute `exact.compute_aggregate(adapter, previous, updates)` and keep it in the blob store."""

    task: TaskId
    round: Round
    adapter: AdapterSpec
    previous: BlobRef | None
    updates: tuple[BlobRef, ...]


# Effects


@dataclass(frozen=True, slots=True)
class FetchBlob:
    """Get a blob into the store, if it is not there yet."""

    root: Hash
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Have the updates judged."""

    order: EvaluateOrder


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Have the accepted updates added up."""

    order: AggregateOrder


@dataclass(frozen=True, slots=True)
class JournalDuty:
    """Append a record and fsync it before any later effect."""

    record: bytes


@dataclass(frozen=True, slots=True)
class SubmitItem:
    """Send an item towards a block's learning section."""

    item: LearningItem


@dataclass(frozen=True, slots=True)
class SubmitAggregateVote:
    """Send a signature towards an aggregate certificate."""

    vote: AggregateVote


DutyEffect = FetchBlob | Evaluate | Aggregate | JournalDuty | SubmitItem | SubmitAggregateVote


# Results


@dataclass(frozen=True, slots=True)
class BlobFetched:
    """The blob is in the store, verified."""

    root: Hash


@dataclass(frozen=True, slots=True)
class BlobFailed:
    """The blob could not be had this time."""

    root: Hash


@dataclass(frozen=True, slots=True)
class EvaluateDone:
    """What was found and scored. One entry an update in both; a score is None where there is none.

    `losses`: of the candidate aggregate on each drawn row, micro-nats per token, in the draw's order.
    """

    task: TaskId
    round: Round
    findings: tuple[UpdateStatus | None, ...]
    scores: tuple[int | None, ...]
    losses: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EvaluateFailed:
    """No scores this time. `findings` is empty if the host did not get that far."""

    task: TaskId
    round: Round
    findings: tuple[UpdateStatus | None, ...]


@dataclass(frozen=True, slots=True)
class AggregateDone:
    """The aggregate is in the store."""

    task: TaskId
    round: Round
    aggregate: Hash
    aggregate_bytes: int


@dataclass(frozen=True, slots=True)
class AggregateFailed:
    """No aggregate this time."""

    task: TaskId
    round: Round


DutyResult = BlobFetched | BlobFailed | EvaluateDone | EvaluateFailed | AggregateDone | AggregateFailed
