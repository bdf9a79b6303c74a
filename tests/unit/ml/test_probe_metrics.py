"""What a probe is worth: measures against brute force, and splits that let nothing leak."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flockchain_ml.probes import BENIGN, MetricInvalid, compute_auc, compute_fpr_at_tpr, split_leave_one_out

SCORED = st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: 0 < sum(label for _, label in rows) < len(rows)
)


@given(rows=SCORED)
def test_the_auc_counts_pairs_that_are_in_order(rows: list[tuple[int, bool]]) -> None:
    pairs = [(bad, good) for bad, is_bad in rows if is_bad for good, is_good_bad in rows if not is_good_bad]
    expected = sum(1.0 if bad > good else 0.5 if bad == good else 0.0 for bad, good in pairs) / len(pairs)
    assert compute_auc([score for score, _ in rows], [label for _, label in rows]) == pytest.approx(expected)


@given(rows=SCORED, percent=st.integers(1, 100))
def test_the_false_positive_rate_is_the_lowest_at_which_enough_are_found(
    rows: list[tuple[int, bool]], percent: int
) -> None:
    bad, good = [s for s, label in rows if label], [s for s, label in rows if not label]
    reachable = [
        sum(score >= threshold for score in good) / len(good)
        for threshold in range(-6, 7)
        if 100 * sum(score >= threshold for score in bad) >= percent * len(bad)
    ]
    found = compute_fpr_at_tpr([score for score, _ in rows], [label for _, label in rows], percent)
    assert found == pytest.approx(min(reachable))


def test_known_values() -> None:
    scores, labels = [0.9, 0.8, 0.7, 0.6, 0.2], [True, False, True, False, False]
    assert compute_auc(scores, labels) == pytest.approx(5 / 6)
    assert compute_fpr_at_tpr(scores, labels) == pytest.approx(1 / 3)
    assert compute_fpr_at_tpr(scores, labels, 50) == 0.0
    for wrong in ([True] * 5, [False] * 5):
        with pytest.raises(MetricInvalid):
            compute_auc(scores, wrong)
    with pytest.raises(MetricInvalid):
        compute_auc([float("nan"), 1.0], [True, False])


@given(attacks=st.lists(st.sampled_from([BENIGN, "a", "b", "c"]), min_size=4, max_size=60))
def test_a_split_leaves_out_one_attack_and_tests_on_nothing_that_it_trained_on(attacks: list[str]) -> None:
    names = sorted(set(attacks) - {BENIGN})
    if len(names) < 2 or attacks.count(BENIGN) < len(names):
        with pytest.raises(MetricInvalid):
            list(split_leave_one_out(attacks))
        return
    splits = list(split_leave_one_out(attacks))
    assert [split.held_out for split in splits] == names
    for split in splits:
        assert sorted((*split.train, *split.test)) == list(range(len(attacks)))
        assert {attacks[index] for index in split.test} == {BENIGN, split.held_out}
        assert {attacks[index] for index in split.train} >= set(names) - {split.held_out}
        assert split.held_out not in {attacks[index] for index in split.train}
    tested = [index for split in splits for index in split.test]
    assert sorted(tested) == list(range(len(attacks)))  # every example is tested once
