"""From revealed votes to verdicts, in integers: the state's own judgement (V4, LEARNING §3).

For each update, by itself, in this order (stake is the committee's, all of it, absent members included):

 T1. MALFORMED if members with more than 1/2 of the stake found it so.
 T2. DUPLICATE if its blob is that of an earlier update of the round, or more than 1/2 found it a copy.
 T3. UNAVAILABLE if more than 1/3 could not get its bytes.
 T4. NO_SCORE unless members with more than 2/3 gave it a score: then honest scores outweigh those of any third.
 T5. s = the stake-weighted median of its scores: the least score that, with all lower ones, holds half of their stake.
 T6. R <- min(cap, trunc(4R / 5) + s); a newcomer starts from 0; R stays as it was without a score.

Then, over the scored updates, M = sum of max(0, -R). If M is over the task's mass threshold, those with R below the
task's floor are LOW_REPUTATION; everything else is ACCEPTED. Under ACCEPT_ALL whatever passed T1 to T3 is accepted.

Pure; it knows votes and a task's thresholds, not the state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from flockchain.crypto.merkle import compute_root
from flockchain.primitives.errors import invariant
from flockchain.primitives.learning import (
    VERDICT,
    AcceptanceRule,
    ReasonCode,
    ScoreVote,
    TaskSpec,
    UpdateRecord,
    UpdateStatus,
    Verdict,
)
from flockchain.primitives.numbers import Hash, MicroNats, Score, Stake, is_more_than_one_third, is_quorum

__all__ = ["Ballot", "compute_reputation", "compute_results_root", "compute_verdicts", "compute_weighted_median"]


@dataclass(frozen=True, slots=True)
class Ballot:
    """A revealed vote and the stake behind it."""

    stake: Stake
    vote: ScoreVote


def compute_verdicts(
    spec: TaskSpec,
    updates: Sequence[UpdateRecord],
    reputations: Sequence[MicroNats],
    ballots: Sequence[Ballot],
    committee_stake: Stake,
) -> tuple[Verdict, ...]:
    """One verdict per update of the closed set, in its order. `reputations` are those before this round."""
    drafts: list[Verdict] = []
    for index, (update, reputation) in enumerate(zip(updates, reputations, strict=True)):
        is_repeated = any(earlier.blob == update.blob for earlier in updates[:index])
        finding = _find_objective_reason(index, ballots, committee_stake, is_repeated)
        scores = _collect_scores(index, ballots)
        if finding is not None:
            drafts.append(Verdict(update.trainer, update.blob, Score(0), reputation, finding))
        elif not is_quorum(sum(stake for _, stake in scores), committee_stake):  # T4
            drafts.append(Verdict(update.trainer, update.blob, Score(0), reputation, ReasonCode.NO_SCORE))
        else:
            median = compute_weighted_median(scores)
            after = compute_reputation(reputation, median, spec.reputation_cap)
            drafts.append(Verdict(update.trainer, update.blob, median, after, ReasonCode.ACCEPTED))
    return _apply_rule(spec, drafts)


def compute_weighted_median(scores: Sequence[tuple[Score, Stake]]) -> Score:
    """T5: the least score such that it and all lower ones hold at least half of the stake."""
    invariant(len(scores) > 0, "a median needs a score")
    total = sum(stake for _, stake in scores)
    held = 0
    for score, stake in sorted(scores):
        held += stake
        if 2 * held >= total:
            return score
    return max(scores)[0]


def compute_reputation(before: MicroNats, score: Score, cap: MicroNats) -> MicroNats:
    """T6. `trunc` is towards zero: a bad name fades as fast as a good one."""
    faded = 4 * before // 5 if before >= 0 else -(4 * -before // 5)
    return MicroNats(min(cap, faded + score))


def compute_results_root(verdicts: Sequence[Verdict]) -> Hash:
    """What an aggregate certificate says of a round's results: the RFC 6962 root over its verdicts."""
    return compute_root([VERDICT.encode(verdict) for verdict in verdicts])


def _find_objective_reason(
    index: int, ballots: Sequence[Ballot], committee_stake: Stake, is_repeated: bool
) -> ReasonCode | None:
    malformed = _sum_stake(index, ballots, UpdateStatus.MALFORMED)
    if 2 * malformed > committee_stake:  # T1
        return ReasonCode.MALFORMED
    if is_repeated or 2 * _sum_stake(index, ballots, UpdateStatus.DUPLICATE) > committee_stake:  # T2
        return ReasonCode.DUPLICATE
    if is_more_than_one_third(_sum_stake(index, ballots, UpdateStatus.UNAVAILABLE), committee_stake):  # T3
        return ReasonCode.UNAVAILABLE
    return None


def _sum_stake(index: int, ballots: Sequence[Ballot], status: UpdateStatus) -> int:
    return sum(ballot.stake for ballot in ballots if ballot.vote.entries[index].status is status)


def _collect_scores(index: int, ballots: Sequence[Ballot]) -> list[tuple[Score, Stake]]:
    entries = [(ballot.vote.entries[index], ballot.stake) for ballot in ballots]
    return [(entry.score, stake) for entry, stake in entries if entry.status is UpdateStatus.SCORED]


def _apply_rule(spec: TaskSpec, drafts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    if spec.rule is AcceptanceRule.ACCEPT_ALL:
        return tuple(_swap_reason(draft, ReasonCode.NO_SCORE, ReasonCode.ACCEPTED) for draft in drafts)
    scored = [draft for draft in drafts if draft.reason is ReasonCode.ACCEPTED]
    mass = sum(max(0, -draft.reputation) for draft in scored)
    if mass <= spec.mass_threshold:
        return tuple(drafts)
    return tuple(
        _swap_reason(draft, ReasonCode.ACCEPTED, ReasonCode.LOW_REPUTATION)
        if draft.reputation < spec.reputation_floor
        else draft
        for draft in drafts
    )


def _swap_reason(draft: Verdict, old: ReasonCode, new: ReasonCode) -> Verdict:
    return replace(draft, reason=new) if draft.reason is old else draft
