"""The tally: verdicts as a pure function of votes, exactly the written rule."""

from __future__ import annotations

from collections.abc import Sequence
from math import trunc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.primitives.learning import AcceptanceRule, ReasonCode, UpdateRecord, UpdateStatus, Verdict
from flockchain.primitives.numbers import AccountId, Balance, Hash, MicroNats, Score, Stake
from flockchain.runtime.tally import (
    Ballot,
    compute_reputation,
    compute_results_root,
    compute_verdicts,
    compute_weighted_median,
)
from tests.kit.learning import build_spec, build_vote_of

OUT, BAD, COPY, PASS = UpdateStatus.UNAVAILABLE, UpdateStatus.MALFORMED, UpdateStatus.DUPLICATE, UpdateStatus.ABSTAIN
SCORES = st.integers(-(10**6), 10**6)
STAKES = st.integers(1, 10**12)


def build_updates(count: int) -> list[UpdateRecord]:
    return [
        UpdateRecord(AccountId(bytes([n]) * 32), Hash(bytes([100 + n]) * 32), 10, Hash(bytes([n]) * 32), Balance(5))
        for n in range(count)
    ]


def judge(
    *votes: tuple[int, Sequence[int | UpdateStatus]], before: Sequence[int] | None = None, total: int | None = None,
    updates: list[UpdateRecord] | None = None, **fields: Any,
) -> tuple[Verdict, ...]:  # fmt: skip
    """Votes as (stake, entries); the committee is the voters unless `total` says more."""
    count = len(votes[0][1])
    ballots = [Ballot(Stake(stake), build_vote_of(entries, (1,))) for stake, entries in votes]
    reputations = [MicroNats(value) for value in (before or [0] * count)]
    stake = Stake(total if total is not None else sum(stake for stake, _ in votes))
    return compute_verdicts(build_spec(**fields), updates or build_updates(count), reputations, ballots, stake)


def get_reasons(verdicts: Sequence[Verdict]) -> list[ReasonCode]:
    return [verdict.reason for verdict in verdicts]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(SCORES, STAKES), min_size=1, max_size=12), st.randoms())
def test_the_median_has_at_most_half_of_the_stake_on_either_side(pairs: list[tuple[int, int]], shuffler: Any) -> None:
    scores = [(Score(score), Stake(stake)) for score, stake in pairs]
    median, total = compute_weighted_median(scores), sum(stake for _, stake in scores)
    assert 2 * sum(stake for score, stake in scores if score < median) < total
    assert 2 * sum(stake for score, stake in scores if score > median) <= total
    assert median in [score for score, _ in scores]
    shuffler.shuffle(scores)
    assert compute_weighted_median(scores) == median


@settings(max_examples=100, deadline=None)
@given(
    st.lists(SCORES, min_size=3, max_size=3), st.lists(SCORES, min_size=1, max_size=3), st.integers(1, 3)
)  # fmt: skip
def test_liars_with_less_than_half_of_the_scored_stake_cannot_leave_the_honest_range(
    honest: list[int], lies: list[int], stake: int
) -> None:
    scores = [(Score(score), Stake(10)) for score in honest] + [(Score(lie), Stake(3 * stake)) for lie in lies]
    if 2 * sum(s for _, s in scores[3:]) < sum(s for _, s in scores):
        assert min(honest) <= compute_weighted_median(scores) <= max(honest)


@settings(max_examples=100, deadline=None)
@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.integers(0, 10**6))
def test_reputation_is_the_written_rule(before: int, score: int, cap: int) -> None:
    from fractions import Fraction

    wanted = min(cap, trunc(Fraction(4 * before, 5)) + score)
    assert compute_reputation(MicroNats(before), Score(score), MicroNats(cap)) == wanted


def test_reputation_fades_towards_zero_from_both_sides() -> None:
    assert compute_reputation(MicroNats(-7), Score(0), MicroNats(5_000)) == -5
    assert compute_reputation(MicroNats(7), Score(0), MicroNats(5_000)) == 5
    assert compute_reputation(MicroNats(4_900), Score(4_000), MicroNats(5_000)) == 5_000


def test_nobody_is_rejected_while_there_is_nothing_to_act_on() -> None:
    verdicts = judge((10, (-30_000, -50_000, 10)), before=(0, 0, 0))
    assert get_reasons(verdicts) == [ReasonCode.ACCEPTED] * 3
    assert [verdict.reputation for verdict in verdicts] == [-30_000, -50_000, 10]


def test_over_the_mass_only_those_below_the_floor_are_rejected() -> None:
    verdicts = judge((10, (-30_000, -50_001, -10_000, -10_001, 20)))
    assert get_reasons(verdicts) == [
        ReasonCode.LOW_REPUTATION, ReasonCode.LOW_REPUTATION, ReasonCode.ACCEPTED, ReasonCode.LOW_REPUTATION,
        ReasonCode.ACCEPTED,
    ]  # fmt: skip


def test_the_mass_must_be_over_the_threshold_not_at_it() -> None:
    assert get_reasons(judge((10, (-80_000, 5)))) == [ReasonCode.ACCEPTED] * 2
    assert get_reasons(judge((10, (-80_001, 5)))) == [ReasonCode.LOW_REPUTATION, ReasonCode.ACCEPTED]


def test_a_good_name_of_others_does_not_hide_a_bad_one() -> None:
    verdicts = judge((10, (5_000, -90_000)), before=(5_000, 5_000))
    assert get_reasons(verdicts) == [ReasonCode.ACCEPTED, ReasonCode.LOW_REPUTATION]
    assert [verdict.reputation for verdict in verdicts] == [5_000, -86_000]


@pytest.mark.parametrize(
    ("stakes", "status", "reason"),
    [
        ((34, 66), OUT, ReasonCode.UNAVAILABLE), ((33, 66), OUT, ReasonCode.NO_SCORE),
        ((51, 49), BAD, ReasonCode.MALFORMED), ((50, 50), BAD, ReasonCode.NO_SCORE),
        ((51, 49), COPY, ReasonCode.DUPLICATE), ((50, 50), COPY, ReasonCode.NO_SCORE),
        ((34, 66), PASS, ReasonCode.NO_SCORE), ((33, 67), PASS, ReasonCode.ACCEPTED),
    ],
)  # fmt: skip
def test_each_finding_has_its_own_bound(stakes: tuple[int, int], status: UpdateStatus, reason: ReasonCode) -> None:
    total = 99 if stakes == (33, 66) else 100
    verdicts = judge((stakes[0], (status, 7)), (stakes[1], (7, 7)), total=total)
    assert get_reasons(verdicts)[0] is reason
    assert verdicts[1].reason is ReasonCode.ACCEPTED
    assert verdicts[0].median_score == (7 if reason is ReasonCode.ACCEPTED else 0)


def test_absent_stake_counts_against_a_quorum() -> None:
    assert get_reasons(judge((66, (7, BAD)), total=99)) == [ReasonCode.NO_SCORE, ReasonCode.MALFORMED]
    assert get_reasons(judge((67, (7,)), total=100)) == [ReasonCode.ACCEPTED]


def test_objective_findings_come_before_soft_ones() -> None:
    verdicts = judge((60, (BAD, COPY)), (40, (OUT, OUT)))
    assert get_reasons(verdicts) == [ReasonCode.MALFORMED, ReasonCode.DUPLICATE]


def test_the_state_sees_a_repeated_blob_itself_and_the_first_one_stands() -> None:
    updates = build_updates(3)
    updates[2] = UpdateRecord(updates[2].trainer, updates[0].blob, 10, updates[0].digest, Balance(5))
    verdicts = judge((10, (50, 60, 70)), updates=updates)
    assert get_reasons(verdicts) == [ReasonCode.ACCEPTED, ReasonCode.ACCEPTED, ReasonCode.DUPLICATE]


def test_without_a_score_a_reputation_stays_as_it_was() -> None:
    verdicts = judge((100, (BAD, COPY, OUT, PASS)), before=(-9, 9, -99, 99))
    assert [verdict.reputation for verdict in verdicts] == [-9, 9, -99, 99]


def test_each_update_is_judged_by_itself() -> None:
    """What happens to one update's votes does not move another's median or reputation."""
    first = judge((60, (40, BAD)), (40, (20, BAD)))[0]
    second = judge((60, (40, 99)), (40, (20, -99)))[0]
    assert (first.median_score, first.reputation) == (second.median_score, second.reputation) == (40, 40)


def test_accept_all_takes_whatever_is_well_formed_and_there() -> None:
    verdicts = judge((100, (-(10**6), PASS, BAD, OUT, COPY)), rule=AcceptanceRule.ACCEPT_ALL)
    assert get_reasons(verdicts) == [
        ReasonCode.ACCEPTED, ReasonCode.ACCEPTED, ReasonCode.MALFORMED, ReasonCode.UNAVAILABLE, ReasonCode.DUPLICATE
    ]  # fmt: skip


def test_the_results_root_commits_to_every_verdict_in_order() -> None:
    verdicts = judge((10, (1, 2, 3)))
    roots = {
        compute_results_root(chosen)
        for chosen in (verdicts, verdicts[::-1], verdicts[:2], judge((10, (1, 2, 4))), judge((10, (1, 2, BAD))))
    }
    assert len(roots) == 5


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_one_verdict_an_update_and_a_stable_answer(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 5))
    entry = st.one_of(SCORES, st.sampled_from([OUT, BAD, COPY, PASS]))
    votes = data.draw(st.lists(st.tuples(STAKES, st.tuples(*[entry] * count)), min_size=1, max_size=6))
    before = data.draw(st.lists(SCORES, min_size=count, max_size=count))
    verdicts = judge(*votes, before=before)
    assert [verdict.trainer for verdict in verdicts] == [update.trainer for update in build_updates(count)]
    assert judge(*reversed(votes), before=before) == verdicts
    for verdict in verdicts:
        assert verdict.reputation <= max(5_000, *before)
