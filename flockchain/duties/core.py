"""The duties of one member, as a core: finalized states and results of work in, effects out.

For each round in whose committee we sit:

 D1. SUBMIT: fetch every update as it is committed (as any validator does), and what an evaluation needs besides.
 D2. COMMIT: when suite, lineage and updates are here, or half of the phase is over, order the evaluation. A failed one
     is ordered again, each time after twice as many blocks.
 D3. COMMIT: journal the vote, then send its commitment. Without a result shortly before the deadline the vote abstains
     (UNAVAILABLE for bytes that are missing): a failing evaluator costs us our say and makes us say nothing wrong.
 D4. REVEAL: open exactly the journaled vote, with the drawn rows of its evidence.
 D5. AGGREGATE: order the exact aggregate, journal what came out, then send our signature.
 D6. What the state does not show yet is sent again every few blocks.

One commit and one aggregate vote a round, across restarts (`records.py`). If the state holds a commit of ours that the
journal does not, we sign nothing in that round. Feed it states near the head of the chain only: a member that signs its
way through history without its old journal contradicts itself. Knows no clock, disk, network or model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from flockchain.crypto.bls import BlsBackend
from flockchain.duties.ballots import DutyKeys, Signer, build_vote, is_sound
from flockchain.duties.orders import (
    Aggregate,
    AggregateDone,
    AggregateFailed,
    AggregateOrder,
    BlobFailed,
    BlobFetched,
    BlobRef,
    DutyEffect,
    Evaluate,
    EvaluateDone,
    EvaluateFailed,
    EvaluateOrder,
    FetchBlob,
    JournalDuty,
    SubmitAggregateVote,
    SubmitItem,
)
from flockchain.duties.records import AggregateDuty, CommitDuty, DutyMemory
from flockchain.primitives.learning import AdapterMode, Phase, ReasonCode, ScoreVote, TaskSpec, UpdateStatus
from flockchain.primitives.numbers import ZERO_HASH, AccountId, Hash, Height, MicroNats, Round, TaskId
from flockchain.primitives.rounds import LineageEntry, RoundRecord, TaskRecord
from flockchain.storage.overlay import StateReader

__all__ = ["DutyConfig", "DutyCore", "RoundViews"]

RESEND_BLOCKS: Final = 4
FETCH_RETRY_BLOCKS: Final = 2
LAST_CALL_BLOCKS: Final = 2  # a commit needs a block or two to get in
LAST_CALL_FRACTION: Final = 8  # or this part of the phase, whichever is longer
RETRY_DOUBLINGS_MAX: Final = 6

Key = tuple[TaskId, Round]


@dataclass(frozen=True, slots=True)
class DutyConfig:
    """The chain whose rounds we serve, and its BLS."""

    genesis_hash: Hash
    bls: BlsBackend


class RoundViews(Protocol):
    """What duties read of a state."""

    def get_open_tasks(self, state: StateReader) -> tuple[TaskId, ...]: ...

    def get_seats(self, state: StateReader, account: AccountId) -> tuple[tuple[TaskId, Round], ...]: ...

    def find_task(self, state: StateReader, task: TaskId) -> TaskRecord | None: ...

    def find_round(self, state: StateReader, task: TaskId, round: Round) -> RoundRecord | None: ...

    def get_prompt_rows(self, state: StateReader, task: TaskId, round: Round) -> tuple[int, ...]: ...

    def get_lineage(self, state: StateReader, task: TaskId) -> tuple[LineageEntry, ...]: ...


@dataclass(slots=True)
class _Work:
    """One round's work order of a phase; at most one is out at a time."""

    order: EvaluateOrder | AggregateOrder
    results_root: Hash
    is_out: bool = True
    failures: int = 0
    retry_at: int = 0
    findings: tuple[UpdateStatus | None, ...] = ()


class DutyCore:
    """See the module. `records` are those of the journal, in order."""

    def __init__(self, config: DutyConfig, keys: DutyKeys, views: RoundViews, records: Iterable[bytes] = ()) -> None:
        self._account = keys.account
        self._signer = Signer(config.genesis_hash, config.bls, keys)
        self._views = views
        self._memory = DutyMemory(records)
        self._height = Height(0)
        self._blobs: set[Hash] = set()
        self._fetching: set[Hash] = set()
        self._fetch_again_at: dict[Hash, int] = {}
        self._works: dict[tuple[Key, Phase], _Work] = {}
        self._sent_at: dict[tuple[Key, Phase], int] = {}
        self._serving: dict[Key, Phase] = {}

    def on_finalized(self, state: StateReader, height: Height) -> list[DutyEffect]:
        """A block was finalized; `state` is its post-state."""
        self._height = height
        wanted: dict[Hash, BlobRef] = {}
        for task in self._views.get_open_tasks(state):
            self._want_blobs(state, task, wanted)
        seats = self._views.get_seats(state, self._account)
        self._forget_others(set(seats), wanted)
        effects = self._fetch(wanted.values())
        for task, round_ in seats:
            record, owner = self._views.find_round(state, task, round_), self._views.find_task(state, task)
            if record is not None and owner is not None and any(map(self._signer.is_member, record.committee)):
                self._serving[(task, round_)] = record.phase
                effects += self._serve(state, owner.spec, record)
        return effects

    def on_work_done(self, result: Any) -> list[DutyEffect]:
        """A work order was answered. Answers to orders that are over are ignored."""
        match result:
            case BlobFetched(root):
                self._fetching.discard(root)
                self._blobs.add(root)
            case BlobFailed(root):
                self._fetching.discard(root)
                self._fetch_again_at[root] = self._height + FETCH_RETRY_BLOCKS
            case EvaluateDone():
                return self._on_evaluated(result)
            case EvaluateFailed():
                self._on_failed((result.task, result.round), Phase.COMMIT, result.findings)
            case AggregateDone():
                return self._on_aggregated(result)
            case AggregateFailed():
                self._on_failed((result.task, result.round), Phase.AGGREGATE, ())
        return []

    def get_records(self) -> list[bytes]:
        """What the journal must still hold; the host may rewrite it to this at any time."""
        return self._memory.get_records()

    def _want_blobs(self, state: StateReader, task: TaskId, wanted: dict[Hash, BlobRef]) -> None:
        """D1: what the current round of a task will need, as soon as it has updates."""
        owner = self._views.find_task(state, task)
        record = None if owner is None else self._views.find_round(state, task, owner.round)
        if owner is None or record is None or not record.updates:
            return
        updates = (BlobRef(update.blob, update.size_bytes) for update in record.updates)
        for blob in (*updates, *self._get_model(state, owner.spec, task), _get_suite(owner.spec)):
            wanted.setdefault(blob.root, blob)

    def _fetch(self, blobs: Iterable[BlobRef]) -> list[DutyEffect]:
        effects: list[DutyEffect] = []
        for blob in blobs:
            is_due = self._fetch_again_at.get(blob.root, 0) <= self._height
            if is_due and blob.root not in self._blobs and blob.root not in self._fetching:
                self._fetching.add(blob.root)
                effects.append(FetchBlob(blob.root, blob.size_bytes))
        return effects

    def _get_model(self, state: StateReader, spec: TaskSpec, task: TaskId) -> tuple[BlobRef, ...]:
        lineage = self._views.get_lineage(state, task)
        entries = lineage[-1:] if spec.adapter.mode is AdapterMode.FFA else lineage
        return tuple(BlobRef(entry.aggregate, entry.aggregate_bytes) for entry in entries)

    def _forget_others(self, seats: set[Key], wanted: dict[Hash, BlobRef]) -> None:
        """Drop what concerns rounds that are over, so that memory does not grow."""
        known = {*self._memory.get_keys(), *self._serving, *(key for key, _ in self._works)}
        for key in known - seats:
            self._memory.forget(key)
            self._serving.pop(key, None)
            for phase in Phase:
                self._works.pop((key, phase), None)
                self._sent_at.pop((key, phase), None)
        self._blobs.intersection_update(wanted)
        self._fetching.intersection_update(wanted)
        self._fetch_again_at = {root: at for root, at in self._fetch_again_at.items() if root in wanted}

    def _serve(self, state: StateReader, spec: TaskSpec, record: RoundRecord) -> list[DutyEffect]:
        if record.closed:
            return []
        match record.phase:
            case Phase.COMMIT:
                return self._serve_commit(state, spec, record)
            case Phase.REVEAL:
                return self._serve_reveal(record)
            case Phase.AGGREGATE:
                return self._serve_aggregate(state, spec, record)
            case _:
                return []

    # D2, D3

    def _serve_commit(self, state: StateReader, spec: TaskSpec, record: RoundRecord) -> list[DutyEffect]:
        key = (record.task, record.round)
        if any(commit.voter == self._account for commit in record.commits):
            return []
        duty = self._memory.commits.get(key)
        if duty is not None:
            return self._send_again(key, Phase.COMMIT, lambda: SubmitItem(self._signer.build_commit(duty)))
        work = self._works.get((key, Phase.COMMIT))
        length = record.deadline - record.phase_opened
        is_last_call = self._height >= record.deadline - max(LAST_CALL_BLOCKS, length // LAST_CALL_FRACTION)
        if work is not None and not is_last_call and (work.is_out or self._height < work.retry_at):
            return []
        order = self._build_evaluation(state, spec, record)
        if is_last_call:
            findings = work.findings if work is not None else ()
            return self._commit(key, build_vote(order, findings, (), ()), ())
        has_model = all(blob.root in self._blobs for blob in (*order.lineage, order.suite))
        is_half_over = 2 * (self._height - record.phase_opened) >= length
        if not has_model or not (all(order.is_available) or is_half_over):
            return []
        failures = work.failures if work is not None else 0
        self._works[(key, Phase.COMMIT)] = _Work(order, ZERO_HASH, failures=failures)
        return [Evaluate(order)]

    def _build_evaluation(self, state: StateReader, spec: TaskSpec, record: RoundRecord) -> EvaluateOrder:
        rows = self._views.get_prompt_rows(state, record.task, record.round)
        is_available = tuple(update.blob in self._blobs for update in record.updates)
        model = self._get_model(state, spec, record.task)
        return EvaluateOrder(
            record.task, record.round, spec, model, _get_suite(spec), rows, record.updates, is_available
        )

    def _on_evaluated(self, result: EvaluateDone) -> list[DutyEffect]:
        key = (result.task, result.round)
        work = self._find_work(key, Phase.COMMIT)
        if work is None or not isinstance(work.order, EvaluateOrder) or key in self._memory.commits:
            return []
        if not is_sound(work.order, result):
            self._on_failed(key, Phase.COMMIT, ())
            return []
        return self._commit(key, build_vote(work.order, result.findings, result.scores, result.losses), result.losses)

    def _commit(self, key: Key, vote: ScoreVote, losses: tuple[int, ...]) -> list[DutyEffect]:
        evidence = tuple(MicroNats(loss) for loss in losses) if vote.evidence_root != ZERO_HASH else ()
        duty = CommitDuty(*key, vote, evidence)
        journal = JournalDuty(self._memory.add(duty))  # before the signature leaves us
        self._sent_at[(key, Phase.COMMIT)] = self._height
        return [journal, SubmitItem(self._signer.build_commit(duty))]

    # D4

    def _serve_reveal(self, record: RoundRecord) -> list[DutyEffect]:
        key = (record.task, record.round)
        duty = self._memory.commits.get(key)
        if duty is None or any(reveal.voter == self._account for reveal in record.reveals):
            return []
        own = (self._account, self._signer.compute_commitment(duty))
        if own not in [(commit.voter, commit.commitment) for commit in record.commits]:
            return []
        positions = record.audit_positions
        return self._send_again(key, Phase.REVEAL, lambda: SubmitItem(self._signer.build_reveal(duty, positions)))

    # D5

    def _serve_aggregate(self, state: StateReader, spec: TaskSpec, record: RoundRecord) -> list[DutyEffect]:
        key = (record.task, record.round)
        duty = self._memory.aggregates.get(key)
        if duty is not None:
            return self._send_again(
                key, Phase.AGGREGATE, lambda: SubmitAggregateVote(self._signer.build_aggregate_vote(duty))
            )
        work = self._works.get((key, Phase.AGGREGATE))
        if work is not None and (work.is_out or self._height < work.retry_at):
            return []
        model = self._get_model(state, spec, record.task) if spec.adapter.mode is AdapterMode.FFA else ()
        accepted = tuple(
            BlobRef(update.blob, update.size_bytes)
            for update, verdict in zip(record.updates, record.verdicts, strict=True)
            if verdict.reason is ReasonCode.ACCEPTED
        )
        if any(blob.root not in self._blobs for blob in (*model, *accepted)):
            return []
        order = AggregateOrder(*key, spec.adapter, model[-1] if model else None, accepted)
        failures = work.failures if work is not None else 0
        self._works[(key, Phase.AGGREGATE)] = _Work(order, record.results_root, failures=failures)
        return [Aggregate(order)]

    def _on_aggregated(self, result: AggregateDone) -> list[DutyEffect]:
        key = (result.task, result.round)
        work = self._find_work(key, Phase.AGGREGATE)
        if work is None or key in self._memory.aggregates:
            return []
        duty = AggregateDuty(*key, work.results_root, result.aggregate, result.aggregate_bytes)
        journal = JournalDuty(self._memory.add(duty))  # before the signature leaves us
        self._sent_at[(key, Phase.AGGREGATE)] = self._height
        return [journal, SubmitAggregateVote(self._signer.build_aggregate_vote(duty))]

    # D2, D6

    def _find_work(self, key: Key, phase: Phase) -> _Work | None:
        """The order that is out, if its round is still in the phase that wanted it."""
        work = self._works.get((key, phase))
        return work if work is not None and work.is_out and self._serving.get(key) is phase else None

    def _on_failed(self, key: Key, phase: Phase, findings: tuple[UpdateStatus | None, ...]) -> None:
        work = self._works.get((key, phase))
        if work is None or not work.is_out:
            return
        work.is_out = False
        work.failures += 1
        work.retry_at = self._height + (1 << min(work.failures, RETRY_DOUBLINGS_MAX))
        if isinstance(work.order, EvaluateOrder) and len(findings) == len(work.order.updates):
            work.findings = findings

    def _send_again(self, key: Key, phase: Phase, build: Callable[[], DutyEffect]) -> list[DutyEffect]:
        sent_at = self._sent_at.get((key, phase))
        if sent_at is not None and self._height < sent_at + RESEND_BLOCKS:
            return []
        self._sent_at[(key, phase)] = self._height
        return [build()]


def _get_suite(spec: TaskSpec) -> BlobRef:
    return BlobRef(spec.suite_blob, spec.suite_bytes)
