"""Proof of validation: the rounds of tasks, from their closed set of updates to verdicts (PROTOCOL §4, V1, V3-V5).

    SUBMIT --closed--> draw of committee and prompts --> COMMIT --closed--> draw of audit rows --> REVEAL
           --> tally --> AGGREGATE --certificate--> ADVANCED, and from anywhere --> VOID

A phase closes when it is complete and in any case at its deadline height, by the state transition alone (V5): a round
without quorum is void, bonds return, absent members lose, and no block ever waits for ML work. A draw uses the
randomness of the block after the one that closed the phase: it did not exist when the set, or the votes, were closed.
Prompts are not drawn again before the suite is used up.

Scores are judged by `runtime/tally.py`, items checked by `runtime/score_rules.py`. Does not know what a score means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from flockchain.primitives.codec import HASH, I64, U16, U32, U64, U128, EnumOf, ListOf, struct
from flockchain.primitives.errors import invariant
from flockchain.primitives.learning import (
    VERDICT,
    Phase,
    ReasonCode,
    ScoreCommit,
    ScoreReveal,
    ScoreVote,
    TaskSpec,
    UpdateRecord,
    Verdict,
)
from flockchain.primitives.limits import COMMITTEE_MAX, DUE_TASKS_PER_BLOCK_MAX, UPDATES_PER_ROUND_MAX
from flockchain.primitives.numbers import (
    ZERO_HASH,
    AccountId,
    Epoch,
    Hash,
    Height,
    MicroNats,
    Round,
    Stake,
    TaskId,
    is_quorum,
)
from flockchain.primitives.rounds import (
    COMMIT_RECORD,
    COMMITTEE_MEMBER,
    REVEAL_RECORD,
    CommitRecord,
    CommitteeMember,
    RevealRecord,
    VoidReason,
)
from flockchain.primitives.validator_set import ValidatorSet
from flockchain.runtime.draws import (
    compute_audit_positions,
    compute_committee,
    compute_prompt_rows,
    compute_round_seed,
)
from flockchain.runtime.frame import Context, Pallet, StateReader, StorageMap, TupleOf
from flockchain.runtime.rounds import (
    CLOCKS,
    ROUND_KEY,
    RoundClock,
    RoundKey,
    get_scheduled,
    schedule,
    take_due,
    try_clock,
)  # fmt: skip
from flockchain.runtime.score_rules import (
    ItemOutOfPlace,
    ItemRepeated,
    NotMember,
    require_audit,
    require_commit_signature,
    require_opening,
    require_reveal_signature,
    require_vote_shape,
)
from flockchain.runtime.tally import Ballot, compute_results_root, compute_verdicts

__all__ = [
    "CommitTaken", "CommitteeDrawn", "PhaseStarted", "RevealTaken", "RoundTallied", "RoundVoided", "UpdateJudged",
    "Validation", "get_audit_positions", "get_prompt_rows",
]  # fmt: skip


# Events


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A round entered a phase; its items are taken in blocks up to `deadline`."""

    task: TaskId
    round: Round
    phase: Phase
    deadline: Height


@dataclass(frozen=True, slots=True)
class CommitteeDrawn:
    """The set of updates is closed, and who judges it on which prompts is drawn."""

    task: TaskId
    round: Round
    seed: Hash
    updates: int
    members: tuple[AccountId, ...]


@dataclass(frozen=True, slots=True)
class CommitTaken:
    """A member committed to a vote."""

    task: TaskId
    round: Round
    voter: AccountId


@dataclass(frozen=True, slots=True)
class RevealTaken:
    """A member opened its vote."""

    task: TaskId
    round: Round
    voter: AccountId


@dataclass(frozen=True, slots=True)
class UpdateJudged:
    """The state's verdict on one update."""

    task: TaskId
    round: Round
    index: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class RoundTallied:
    """All verdicts of a round are there."""

    task: TaskId
    round: Round
    results_root: Hash
    accepted: int
    revealed_stake: Stake
    committee_stake: Stake


@dataclass(frozen=True, slots=True)
class RoundVoided:
    """A round ended without moving the model."""

    task: TaskId
    round: Round
    reason: VoidReason


# Needs


class Tasks(Protocol):
    """What tasks fix, and which round is current."""

    def find_open(self, state: StateReader, task: TaskId) -> tuple[TaskSpec, Round] | None: ...

    def is_current(self, state: StateReader, task: TaskId, round: Round) -> bool: ...

    def end_round(self, ctx: Context, task: TaskId, is_advanced: bool) -> Round | None: ...


class Updates(Protocol):
    """The updates of rounds, in the order of their commitment."""

    def get_count(self, state: StateReader, task: TaskId, round: Round) -> int: ...

    def get_updates(self, state: StateReader, task: TaskId, round: Round) -> tuple[UpdateRecord, ...]: ...


class Payments(Protocol):
    """Rewards, bonds and losses."""

    def pay_committee(
        self, ctx: Context, key: RoundKey, committee: Sequence[CommitteeMember], votes: Mapping[AccountId, ScoreVote]
    ) -> None: ...

    def slash_absent(self, ctx: Context, key: RoundKey, members: Sequence[CommitteeMember], epoch: Epoch) -> None: ...

    def pay_trainers(
        self, ctx: Context, key: RoundKey, updates: Sequence[UpdateRecord], verdicts: Sequence[Verdict]
    ) -> None: ...

    def return_bonds(
        self, ctx: Context, key: RoundKey, updates: Sequence[UpdateRecord], verdicts: Sequence[Verdict]
    ) -> None: ...


class Randomness(Protocol):
    """The chain's randomness, with this block's part in it."""

    def get_randomness(self, state: StateReader) -> Hash: ...


class Validators(Protocol):
    """The validator set of an epoch."""

    def get_validator_set(self, state: StateReader, epoch: Epoch) -> ValidatorSet: ...


# Storage


@dataclass(frozen=True, slots=True)
class RoundDraw:
    """What was drawn for a round. `pass_start` is the first round since the suite's rows were last all free."""

    epoch: Epoch
    seed: Hash
    audit_seed: Hash
    pass_start: Round
    committee: tuple[CommitteeMember, ...]


@dataclass(frozen=True, slots=True)
class SuitePass:
    """How much of its suite a task has used up since `start`."""

    start: Round
    rows: int


@dataclass(frozen=True, slots=True)
class RoundResults:
    """What the tally said."""

    results_root: Hash
    accepted: int
    verdicts: tuple[Verdict, ...]


DRAWS: Final = StorageMap[RoundKey, RoundDraw](
    "validation", "draw", ROUND_KEY,
    struct(
        RoundDraw, epoch=U64, seed=HASH, audit_seed=HASH, pass_start=U32,
        committee=ListOf(COMMITTEE_MEMBER, COMMITTEE_MAX),
    ),
)  # fmt: skip
PASSES: Final = StorageMap[TaskId, SuitePass]("validation", "pass", U32, struct(SuitePass, start=U32, rows=U32))
SEATS: Final = StorageMap[tuple[AccountId, TaskId], Round]("validation", "seat", TupleOf(HASH, U32), U32)
COMMITS: Final = StorageMap[tuple[TaskId, Round, AccountId], CommitRecord](
    "validation", "commit", TupleOf(U32, U32, HASH), COMMIT_RECORD
)
REVEALS: Final = StorageMap[tuple[TaskId, Round, AccountId], RevealRecord](
    "validation", "reveal", TupleOf(U32, U32, HASH), REVEAL_RECORD
)
RESULTS: Final = StorageMap[RoundKey, RoundResults](
    "validation", "results", ROUND_KEY,
    struct(RoundResults, results_root=HASH, accepted=U16, verdicts=ListOf(VERDICT, UPDATES_PER_ROUND_MAX)),
)  # fmt: skip
REPUTATIONS: Final = StorageMap[tuple[TaskId, AccountId], MicroNats](
    "validation", "reputation", TupleOf(U32, HASH), I64
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Moment:
    """A round as `on_finalize` finds it."""

    key: RoundKey
    spec: TaskSpec
    clock: RoundClock


class Validation(Pallet):
    """See the module."""

    name = "validation"
    index = 6
    events = {  # noqa: RUF012
        0: struct(PhaseStarted, task=U32, round=U32, phase=EnumOf(Phase), deadline=U64),
        1: struct(CommitteeDrawn, task=U32, round=U32, seed=HASH, updates=U16, members=ListOf(HASH, COMMITTEE_MAX)),
        2: struct(CommitTaken, task=U32, round=U32, voter=HASH),
        3: struct(RevealTaken, task=U32, round=U32, voter=HASH),
        4: struct(UpdateJudged, task=U32, round=U32, index=U16, verdict=VERDICT),
        5: struct(
            RoundTallied, task=U32, round=U32, results_root=HASH, accepted=U16, revealed_stake=U128,
            committee_stake=U128,
        ),
        6: struct(RoundVoided, task=U32, round=U32, reason=EnumOf(VoidReason)),
    }  # fmt: skip

    def __init__(
        self, tasks: Tasks, updates: Updates, payments: Payments, randomness: Randomness, validators: Validators
    ) -> None:
        self._tasks = tasks
        self._updates = updates
        self._payments = payments
        self._randomness = randomness
        self._validators = validators
        self.items = {ScoreCommit: self.apply_commit, ScoreReveal: self.apply_reveal}
        self._steps: dict[Phase, Callable[[Context, _Moment], bool]] = {
            Phase.SUBMIT: self._step_submit,
            Phase.COMMIT: self._step_commit,
            Phase.REVEAL: self._step_reveal,
            Phase.AGGREGATE: self._step_aggregate,
            Phase.ADVANCED: self._step_advanced,
        }

    # Hooks

    def on_finalize(self, ctx: Context) -> None:
        """Move the rounds that are due as far as this block lets them (V5)."""
        due = take_due(ctx.state, ctx.block.height)
        for task in due[DUE_TASKS_PER_BLOCK_MAX:]:
            schedule(ctx.state, task, Height(ctx.block.height + 1))
        for task in due[:DUE_TASKS_PER_BLOCK_MAX]:
            self._advance(ctx, task)

    def _advance(self, ctx: Context, task: TaskId) -> None:
        is_moving = True
        while is_moving:
            current = self._tasks.find_open(ctx.state, task)
            if current is None:
                return
            spec, round_ = current
            key = (task, round_)
            clock = CLOCKS.get(ctx.state, key)
            if clock is None:
                self._start_phase(ctx, key, Phase.SUBMIT, spec.submit_blocks)
                return
            is_moving = self._steps[clock.phase](ctx, _Moment(key, spec, clock))

    def _step_submit(self, ctx: Context, now: _Moment) -> bool:
        height, clock, spec = ctx.block.height, now.clock, now.spec
        if clock.closed:
            return height > clock.closed and self._draw_committee(ctx, now)
        count = self._updates.get_count(ctx.state, *now.key)
        if count < spec.max_updates and height < clock.deadline:
            return False
        if count < spec.min_updates:
            return self._void(ctx, now, VoidReason.TOO_FEW_UPDATES)
        return self._close(ctx, now)

    def _step_commit(self, ctx: Context, now: _Moment) -> bool:
        state, height, clock = ctx.state, ctx.block.height, now.clock
        if clock.closed:
            return height > clock.closed and self._draw_audit(ctx, now)
        draw = DRAWS.require(state, now.key)
        absent = [member for member in draw.committee if not COMMITS.contains(state, (*now.key, member.account))]
        if absent and height < clock.deadline:
            return False
        if not _has_quorum_without(draw.committee, absent):
            self._payments.slash_absent(ctx, now.key, absent, draw.epoch)
            return self._void(ctx, now, VoidReason.NO_COMMIT_QUORUM)
        return self._close(ctx, now)

    def _step_reveal(self, ctx: Context, now: _Moment) -> bool:
        state = ctx.state
        draw = DRAWS.require(state, now.key)
        votes = _get_votes(state, now.key, draw.committee)
        absent = [member for member in draw.committee if member.account not in votes]
        is_waiting = any(COMMITS.contains(state, (*now.key, member.account)) for member in absent)
        if is_waiting and ctx.block.height < now.clock.deadline:
            return False
        self._payments.slash_absent(ctx, now.key, absent, draw.epoch)
        if not _has_quorum_without(draw.committee, absent):
            return self._void(ctx, now, VoidReason.NO_REVEAL_QUORUM)
        return self._tally(ctx, now, draw, votes)

    def _step_aggregate(self, ctx: Context, now: _Moment) -> bool:
        return ctx.block.height >= now.clock.deadline and self._void(ctx, now, VoidReason.NO_CERTIFICATE)

    def _step_advanced(self, ctx: Context, now: _Moment) -> bool:
        updates = self._updates.get_updates(ctx.state, *now.key)
        verdicts = RESULTS.require(ctx.state, now.key).verdicts
        self._payments.pay_trainers(ctx, now.key, updates, verdicts)
        return self._end(ctx, now, is_advanced=True)

    # Transitions; each returns True, for the round moved

    def _close(self, ctx: Context, now: _Moment) -> bool:
        """No more items; the draw waits for randomness that does not exist yet."""
        CLOCKS.set(ctx.state, now.key, replace(now.clock, closed=ctx.block.height))
        schedule(ctx.state, now.key[0], Height(ctx.block.height + 1))
        return True

    def _draw_committee(self, ctx: Context, now: _Moment) -> bool:
        state, spec, epoch = ctx.state, now.spec, ctx.block.epoch
        task, round_ = now.key
        seed = compute_round_seed("round", self._randomness.get_randomness(state), task, round_)
        committee = compute_committee(seed, self._validators.get_validator_set(state, epoch), spec.committee_size)
        used = PASSES.get_or(state, task, SuitePass(round_, 0))
        if used.rows + spec.prompts_per_round > spec.suite_rows:
            used = SuitePass(round_, 0)
        PASSES.set(state, task, replace(used, rows=used.rows + spec.prompts_per_round))
        DRAWS.set(state, now.key, RoundDraw(epoch, seed, ZERO_HASH, used.start, committee))
        for member in committee:
            SEATS.set(state, (member.account, task), round_)
        count = self._updates.get_count(state, task, round_)
        ctx.deposit(CommitteeDrawn(task, round_, seed, count, tuple(member.account for member in committee)))
        return self._start_phase(ctx, now.key, Phase.COMMIT, spec.commit_blocks)

    def _draw_audit(self, ctx: Context, now: _Moment) -> bool:
        seed = compute_round_seed("audit", self._randomness.get_randomness(ctx.state), *now.key)
        DRAWS.set(ctx.state, now.key, replace(DRAWS.require(ctx.state, now.key), audit_seed=seed))
        return self._start_phase(ctx, now.key, Phase.REVEAL, now.spec.reveal_blocks)

    def _tally(self, ctx: Context, now: _Moment, draw: RoundDraw, votes: Mapping[AccountId, ScoreVote]) -> bool:
        """V4: verdicts, reputations and the committee's pay; then the certificate's turn, if anything was accepted."""
        state, spec = ctx.state, now.spec
        task, round_ = now.key
        updates = self._updates.get_updates(state, task, round_)
        before = [REPUTATIONS.get_or(state, (task, update.trainer), MicroNats(0)) for update in updates]
        stakes = {member.account: member.stake for member in draw.committee}
        ballots = [Ballot(stakes[voter], vote) for voter, vote in votes.items()]
        total, revealed = Stake(sum(stakes.values())), Stake(sum(ballot.stake for ballot in ballots))
        verdicts = compute_verdicts(spec, updates, before, ballots, total)
        for index, verdict in enumerate(verdicts):
            REPUTATIONS.set(state, (task, verdict.trainer), verdict.reputation)
            ctx.deposit(UpdateJudged(task, round_, index, verdict))
        results_root = compute_results_root(verdicts)
        accepted = sum(verdict.reason is ReasonCode.ACCEPTED for verdict in verdicts)
        RESULTS.set(state, now.key, RoundResults(results_root, accepted, verdicts))
        ctx.deposit(RoundTallied(task, round_, results_root, accepted, revealed, total))
        self._payments.pay_committee(ctx, now.key, draw.committee, votes)
        if not accepted:
            return self._void(ctx, now, VoidReason.NONE_ACCEPTED)
        return self._start_phase(ctx, now.key, Phase.AGGREGATE, spec.aggregate_blocks)

    def _void(self, ctx: Context, now: _Moment, reason: VoidReason) -> bool:
        CLOCKS.set(ctx.state, now.key, replace(
            CLOCKS.require(ctx.state, now.key), phase=Phase.VOID, void_reason=reason, ended=ctx.block.height
        ))  # fmt: skip
        ctx.deposit(RoundVoided(*now.key, reason))
        return self._end(ctx, now, is_advanced=False)

    def _end(self, ctx: Context, now: _Moment, *, is_advanced: bool) -> bool:
        """Bonds return, seats are free, and the next round opens if there is one."""
        state = ctx.state
        results = RESULTS.get(state, now.key)
        verdicts = results.verdicts if results is not None else ()
        self._payments.return_bonds(ctx, now.key, self._updates.get_updates(state, *now.key), verdicts)
        draw = DRAWS.get(state, now.key)
        for member in draw.committee if draw is not None else ():
            SEATS.delete(state, (member.account, now.key[0]))
        self._tasks.end_round(ctx, now.key[0], is_advanced)
        return True

    def _start_phase(self, ctx: Context, key: RoundKey, phase: Phase, length_blocks: int) -> bool:
        state, height = ctx.state, ctx.block.height
        deadline = Height(height + length_blocks)
        old = CLOCKS.get(state, key)
        opened = old.opened if old is not None else height
        CLOCKS.set(state, key, RoundClock(phase, VoidReason.NONE, opened, height, deadline, Height(0), Height(0)))
        schedule(state, key[0], deadline)
        ctx.deposit(PhaseStarted(*key, phase, deadline))
        return True

    # Items of the learning section

    def apply_commit(self, ctx: Context, item: ScoreCommit) -> None:
        """V1: take a member's commitment."""
        state, key = ctx.state, (item.task, item.round)
        self.require_phase(state, key, Phase.COMMIT, ctx.block.height)
        member = self._require_member(state, key, item.voter)
        if COMMITS.contains(state, (*key, item.voter)):
            raise ItemRepeated("the member has committed already", voter=item.voter, round=item.round)
        require_commit_signature(ctx.block.genesis_hash, member, item)
        COMMITS.set(state, (*key, item.voter), CommitRecord(item.voter, item.commitment, ctx.block.height))
        schedule(state, item.task, ctx.block.height)
        ctx.deposit(CommitTaken(item.task, item.round, item.voter))

    def apply_reveal(self, ctx: Context, item: ScoreReveal) -> None:
        """V1, V3: take a member's vote, which must be the one committed to, with its evidence opened as drawn."""
        state, key = ctx.state, (item.task, item.round)
        self.require_phase(state, key, Phase.REVEAL, ctx.block.height)
        member = self._require_member(state, key, item.voter)
        commit = COMMITS.get(state, (*key, item.voter))
        if commit is None:
            raise ItemOutOfPlace("the member did not commit", voter=item.voter, round=item.round)
        if REVEALS.contains(state, (*key, item.voter)):
            raise ItemRepeated("the member has revealed already", voter=item.voter, round=item.round)
        require_reveal_signature(ctx.block.genesis_hash, member, item)
        require_vote_shape(item.vote, self._updates.get_count(state, *key))
        require_opening(item, commit.commitment)
        current = self._tasks.find_open(state, item.task)
        invariant(current is not None, "a round in a phase belongs to an open task", task=item.task)
        spec = current[0]  # type: ignore[index]
        require_audit(item, get_audit_positions(state, key, spec), spec.prompts_per_round)
        REVEALS.set(state, (*key, item.voter), RevealRecord(item.voter, item.vote))
        schedule(state, item.task, ctx.block.height)
        ctx.deposit(RevealTaken(item.task, item.round, item.voter))

    def _require_member(self, state: StateReader, key: RoundKey, account: AccountId) -> CommitteeMember:
        member = self.find_member(state, *key, account)
        if member is None:
            raise NotMember("the voter is not in the round's committee", task=key[0], round=key[1], voter=account)
        return member

    # For models

    def require_phase(self, state: StateReader, key: RoundKey, phase: Phase, height: Height) -> None:
        """V1: the round is its task's current one and takes items of `phase` in this block."""
        clock = CLOCKS.get(state, key)
        if clock is None or not clock.is_taking(phase, height) or not self._tasks.is_current(state, *key):
            is_in = "none" if clock is None else clock.phase.name
            raise ItemOutOfPlace("the round takes no such item now", task=key[0], round=key[1], wanted=phase.name,
                                 phase=is_in)  # fmt: skip

    def get_committee(self, state: StateReader, key: RoundKey) -> tuple[CommitteeMember, ...]:
        """The round's committee, ascending by account; empty before the draw."""
        draw = DRAWS.get(state, key)
        return draw.committee if draw is not None else ()

    def get_results(self, state: StateReader, key: RoundKey) -> tuple[Hash, int]:
        """The round's results root, and how many updates were accepted."""
        results = RESULTS.require(state, key)
        return results.results_root, results.accepted

    def on_certified(self, ctx: Context, key: RoundKey) -> None:
        """The model moved: the round ends when this block does."""
        clock = CLOCKS.require(ctx.state, key)
        CLOCKS.set(ctx.state, key, replace(clock, phase=Phase.ADVANCED, ended=ctx.block.height))
        schedule(ctx.state, key[0], ctx.block.height)

    # Views

    def find_member(self, state: StateReader, task: TaskId, round: Round, account: AccountId) -> CommitteeMember | None:
        """A member of the round's committee with its stake and keys of then, or None."""
        for member in self.get_committee(state, (task, round)):
            if member.account == account:
                return member
        return None

    def get_score_member(
        self, state: StateReader, task: TaskId, round: Round, voter: AccountId
    ) -> tuple[bytes, Epoch] | None:
        """The score key that a member had in a round, and the epoch of its stake; for evidence."""
        draw = DRAWS.get(state, (task, round))
        member = self.find_member(state, task, round, voter)
        return (member.score_key, draw.epoch) if draw is not None and member is not None else None

    def try_state(self, state: StateReader) -> None:
        committed = {key for key, _ in COMMITS.items(state)}
        invariant({key for key, _ in REVEALS.items(state)} <= committed, "who revealed had committed")
        seated: set[tuple[TaskId, Round, AccountId]] = set()
        for key, clock in CLOCKS.items(state):
            task, round_ = key
            try_clock(key, clock)
            committee = {member.account for member in self.get_committee(state, key)}
            voters = {voter for *of_round, voter in committed if (*of_round,) == key}
            invariant(voters <= committee, "only members commit", round=key)
            if not clock.is_over:
                is_awaited = self._tasks.is_current(state, *key) and task in get_scheduled(state)
                invariant(is_awaited, "a round under way is current and scheduled", round=key)
                seated |= {(task, round_, account) for account in committee}
        seats = {(task, round_, account) for (account, task), round_ in SEATS.items(state)}
        invariant(seats == seated, "members of rounds under way have their seats", seats=len(seats))
        for key, results in RESULTS.items(state):
            accepted = sum(verdict.reason is ReasonCode.ACCEPTED for verdict in results.verdicts)
            found = (accepted, self._updates.get_count(state, *key))
            invariant((results.accepted, len(results.verdicts)) == found, "results are of all updates", round=key)


def get_audit_positions(state: StateReader, key: RoundKey, spec: TaskSpec) -> tuple[int, ...]:
    """Which positions of the draw of prompts a reveal opens; empty until they are drawn."""
    draw = DRAWS.get(state, key)
    if draw is None or draw.audit_seed == ZERO_HASH:
        return ()
    return compute_audit_positions(draw.audit_seed, spec.prompts_per_round, spec.audit_rows)


def get_prompt_rows(state: StateReader, key: RoundKey, spec: TaskSpec) -> tuple[int, ...]:
    """The round's rows of the suite in the order of the draw; empty before it. Rows of the pass so far are left out."""
    task, round_ = key
    draw = DRAWS.get(state, key)
    if draw is None:
        return ()
    used: set[int] = set()
    for earlier in range(draw.pass_start, round_):
        before = DRAWS.get(state, (task, Round(earlier)))
        if before is not None:
            used.update(compute_prompt_rows(before.seed, spec.suite_rows, spec.prompts_per_round, used))
    return compute_prompt_rows(draw.seed, spec.suite_rows, spec.prompts_per_round, used)


def _get_votes(state: StateReader, key: RoundKey, committee: Sequence[CommitteeMember]) -> dict[AccountId, ScoreVote]:
    """The revealed votes, in the committee's order."""
    found = {member.account: REVEALS.get(state, (*key, member.account)) for member in committee}
    return {voter: record.vote for voter, record in found.items() if record is not None}


def _has_quorum_without(committee: Sequence[CommitteeMember], absent: Sequence[CommitteeMember]) -> bool:
    total = sum(member.stake for member in committee)
    return is_quorum(total - sum(member.stake for member in absent), total)
