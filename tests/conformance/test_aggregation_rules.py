"""Every aggregation rule of the list is a pure function of the round, over the same exact arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.exact import compute_aggregate
from flockchain.primitives.learning import AdapterMode
from flockchain_ml.aggregation import RULES, AggregationRule, RoundInput, append_round
from tests.kit.learning import build_adapter, build_update

pytestmark = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)

SPECS = [build_adapter(), build_adapter(AdapterMode.STACK)]
SCORES = st.lists(st.integers(-200_000, 200_000), min_size=1, max_size=6)


def build_round(scores: list[int], spec_index: int = 0) -> RoundInput:
    spec = SPECS[spec_index]
    updates = tuple(build_update(spec, seed) for seed in range(len(scores)))
    return RoundInput(spec, (), updates, tuple(scores), (0,) * len(scores))


def test_it_is_listed_under_its_own_name(rule: AggregationRule) -> None:
    assert RULES[rule.name] is rule


@given(scores=SCORES, spec_index=st.sampled_from([0, 1]))
@settings(max_examples=40)
def test_the_aggregate_is_the_exact_one_of_the_accepted(
    rule: AggregationRule, scores: list[int], spec_index: int
) -> None:
    round = build_round(scores, spec_index)
    outcome = rule.aggregate(round)
    assert rule.aggregate(round) == outcome
    assert len(outcome.reputations) == len(scores)
    chosen = [round.updates[index] for index in outcome.accepted]
    if chosen:
        assert outcome.aggregate == compute_aggregate(round.spec, None, chosen)
        assert append_round(round.spec, (), outcome.aggregate) == (outcome.aggregate,)
    else:
        assert outcome.aggregate is None
        assert append_round(round.spec, (b"model",), None) == (b"model",)


@given(scores=SCORES, seed=st.integers(0, 99))
@settings(max_examples=40)
def test_the_order_of_updates_changes_nothing_but_the_order_of_verdicts(
    rule: AggregationRule, scores: list[int], seed: int
) -> None:
    round = build_round(scores)
    order = [int(index) for index in np.random.default_rng(seed).permutation(len(scores))]
    moved = RoundInput(
        round.spec, (), tuple(round.updates[i] for i in order), tuple(scores[i] for i in order), (0,) * len(scores)
    )
    first, second = rule.aggregate(round), rule.aggregate(moved)
    assert second.aggregate == first.aggregate
    assert {order[index] for index in second.accepted} == set(first.accepted)
    assert second.reputations == tuple(first.reputations[i] for i in order)


def test_a_round_where_nothing_is_wrong_accepts_everybody(rule: AggregationRule) -> None:
    assert rule.aggregate(build_round([3_000, -2_000, 500, -1_500])).accepted == (0, 1, 2, 3)


def test_a_rule_that_says_it_needs_no_scores_looks_at_none(rule: AggregationRule) -> None:
    low, high = rule.aggregate(build_round([-(10**9)] * 3)), rule.aggregate(build_round([10**9] * 3))
    assert (low.accepted == high.accepted) is not rule.needs_scores
