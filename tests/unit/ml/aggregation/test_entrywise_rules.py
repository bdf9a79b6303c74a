"""Rules that work entry by entry, against plain loops written from the papers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.aggregation import CoordinateMedian, FedAvg, Lasa, Residual, TrimmedMean
from flockchain_ml.aggregation.quantiles import compute_weighted_median
from tests.kit.learning import build_update
from tests.kit.rounds import (
    FFA,
    STACK,
    build_cluster,
    build_round,
    get_entries,
    get_moved_entries,
    get_products,
    truncate,
)

MODES = pytest.mark.parametrize("spec", [FFA, STACK], ids=["ffa", "stack"])
TOLERANCE = 2**-14  # FFA's fixed-point step at these modules


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(1, 4)), min_size=1, max_size=9))
@settings(max_examples=100)
def test_a_weighted_median_is_the_median_of_as_many_copies(pairs: list[tuple[int, int]]) -> None:
    values = np.array([float(value) for value, _ in pairs])
    copies = [float(value) for value, weight in pairs for _ in range(weight)]
    weights = [weight * 4.0 for _, weight in pairs]  # quarters of 2**20 are whole: ties stay ties
    if len({weight for _, weight in pairs} - {1, 2, 4}) == 0:
        assert compute_weighted_median(values, weights) == np.median(copies)
    low, high = np.sort(copies)[(len(copies) - 1) // 2], np.sort(copies)[len(copies) // 2]
    assert low <= compute_weighted_median(values, weights) <= high


@MODES
@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_the_median_is_taken_entry_by_entry(spec: AdapterSpec, count: int) -> None:
    updates = tuple(build_update(spec, seed) for seed in range(count))
    round = build_round(spec, updates)
    outcome, _ = CoordinateMedian().aggregate(round)
    assert outcome.aggregate is not None
    wanted = np.median([get_entries(spec, update) for update in updates], axis=0)
    np.testing.assert_allclose(get_moved_entries(round, outcome.aggregate), truncate(spec, wanted), atol=TOLERANCE)


@MODES
def test_the_median_with_a_double_weight_is_that_with_the_update_twice(spec: AdapterSpec) -> None:
    updates = tuple(build_update(spec, seed) for seed in range(4))
    weighted, _ = CoordinateMedian().aggregate(build_round(spec, updates, weights=(1.0, 2.0, 1.0, 1.0)))
    twice, _ = CoordinateMedian().aggregate(build_round(spec, (*updates, updates[1])))
    assert weighted.aggregate == twice.aggregate


@MODES
@pytest.mark.parametrize(("count", "cut"), [(1, 1), (2, 1), (3, 1), (6, 1), (6, 2), (5, 9)])
def test_the_trimmed_mean_cuts_both_ends_of_each_entry(spec: AdapterSpec, count: int, cut: int) -> None:
    updates = tuple(build_update(spec, seed) for seed in range(count))
    weights = tuple(1.0 + index % 3 for index in range(count))
    round = build_round(spec, updates, weights=weights)
    outcome, _ = TrimmedMean(cut).aggregate(round)
    assert outcome.aggregate is not None
    entries = np.stack([get_entries(spec, update) for update in updates])
    least = min(cut, (count - 1) // 2)
    wanted = []
    for column in entries.T:
        kept = sorted(zip(column, weights, strict=True))[least : count - least]
        wanted.append(sum(value * weight for value, weight in kept) / sum(weight for _, weight in kept))
    got = get_moved_entries(round, outcome.aggregate)
    np.testing.assert_allclose(got, truncate(spec, np.array(wanted)), atol=TOLERANCE)


@MODES
@pytest.mark.parametrize("rule", [CoordinateMedian(), TrimmedMean(2)], ids=lambda rule: rule.name)
def test_a_minority_cannot_pull_an_entry_out_of_the_honest_range(
    spec: AdapterSpec, rule: CoordinateMedian | TrimmedMean
) -> None:
    honest = build_cluster(spec, 5, seed=1)
    round = build_round(spec, (*honest, *build_cluster(spec, 2, seed=2, scale=-30.0)))
    entries = np.stack([get_entries(spec, update) for update in honest])
    outcome, _ = rule.aggregate(round)
    assert outcome.aggregate is not None
    moved = get_moved_entries(round, outcome.aggregate)
    if spec is FFA:
        assert (moved >= entries.min(axis=0) - TOLERANCE).all()
        assert (moved <= entries.max(axis=0) + TOLERANCE).all()
    else:  # the cut to the rank moves single entries
        mean = entries.mean(axis=0)
        assert np.linalg.norm(moved - mean) < np.linalg.norm(entries - mean, axis=1).max()


def compute_residual(values: np.ndarray, strictness: float, threshold: float) -> np.ndarray:
    """[n, entries] -> [entries]: one entry and one pair of points at a time."""
    n, size = values.shape
    trust, kept = np.zeros(n), values.copy()
    for k in range(size):
        order = np.argsort(values[:, k], kind="stable")
        y = values[order, k]
        slope = np.median([np.median([(y[i] - y[j]) / (i - j) for j in range(n) if j != i]) for i in range(n)])
        line = np.median(y) + slope * (np.arange(n) - (n - 1) / 2)
        residual = y - line
        tau = 1.4826 * (1 + 5 / (n - 1)) * np.median(np.sort(np.abs(residual))[1:]) + 1e-7
        design = np.stack([np.ones(n), np.arange(n)], axis=1)
        hat = np.diag(design @ np.linalg.inv(design.T @ design) @ design.T)
        bound = strictness * np.sqrt(2 / n)
        confidence = np.ones(n)
        for i in range(n):
            e, root = residual[i] / tau, np.sqrt(1 - hat[i])
            if e != 0:
                confidence[i] = root / e * max(-bound, min(bound, e / root))
        for i, client in enumerate(order):
            trust[client] += confidence[i] * np.std(confidence, ddof=1)
            if confidence[i] < threshold:
                kept[client, k] = line[i]
    shares = (trust / trust.max()) ** 2
    return shares @ kept / shares.sum()


@MODES
@pytest.mark.parametrize("threshold", [0.05, 0.6])
def test_residual_reweights_as_the_paper_does(spec: AdapterSpec, threshold: float) -> None:
    updates = (*build_cluster(spec, 6, seed=1), *build_cluster(spec, 2, seed=2, scale=4.0))
    round = build_round(spec, updates)
    outcome, _ = Residual(threshold=threshold).aggregate(round)
    assert outcome.aggregate is not None
    wanted = compute_residual(np.stack([get_entries(spec, update) for update in updates]), 2.0, threshold)
    np.testing.assert_allclose(get_moved_entries(round, outcome.aggregate), truncate(spec, wanted), atol=TOLERANCE)


def test_residual_of_two_is_their_mean() -> None:
    round = build_round(FFA, tuple(build_update(FFA, seed) for seed in range(2)), weights=(1.0, 3.0))
    assert Residual().aggregate(round)[0] == FedAvg().aggregate(round)[0]


def compute_lasa(spec: AdapterSpec, updates: tuple[bytes, ...], sparsity: float) -> np.ndarray:
    entries = np.stack([get_entries(spec, update) for update in updates])
    norms = np.linalg.norm([get_products(spec, update) for update in updates], axis=1)
    entries = entries * np.minimum(1, np.median(norms) / norms)[:, None]
    for row in entries:
        row[np.argsort(np.abs(row))[: len(row) - int(len(row) * (1 - sparsity))]] = 0
    moved, start = [], 0
    for module in spec.modules:
        size = module.out_features * (spec.rank if spec is FFA else module.in_features)
        layer = entries[:, start : start + size]
        start += size
        sizes = np.linalg.norm(layer, axis=1)
        purity = np.array([0.5 * (1 + np.sign(row).sum() / np.abs(np.sign(row)).sum()) for row in layer])
        benign = [
            index
            for index in range(len(layer))
            if abs(sizes[index] - np.median(sizes)) / sizes.std() < 1
            and abs(purity[index] - np.median(purity)) / purity.std() < 1
        ]
        moved.append(layer[benign or range(len(layer))].mean(axis=0))
    return np.concatenate(moved)


@MODES
def test_lasa_drops_small_entries_and_odd_layers(spec: AdapterSpec) -> None:
    updates = (*(build_update(spec, seed) for seed in range(6)), *build_cluster(spec, 2, seed=2, scale=9.0))
    round = build_round(spec, updates)
    outcome, _ = Lasa().aggregate(round)
    assert outcome.aggregate is not None
    wanted = compute_lasa(spec, updates, 0.3)
    np.testing.assert_allclose(get_moved_entries(round, outcome.aggregate), truncate(spec, wanted), atol=TOLERANCE)
