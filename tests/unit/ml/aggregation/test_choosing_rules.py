"""Rules that choose or reweigh whole updates by the geometry of their products, against the papers' definitions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.aggregation import (
    AggregationRule,
    DivideAndConquer,
    FedAvg,
    Flame,
    FoolsGold,
    GeometricMedian,
    Krum,
    MultiKrum,
    RoundInput,
)
from flockchain_ml.aggregation.flame import find_majority
from flockchain_ml.aggregation.foolsgold import compute_credibility
from tests.kit.learning import build_update
from tests.kit.rounds import FFA, STACK, build_cluster, build_round, get_moved_products, get_products

MODES = pytest.mark.parametrize("spec", [FFA, STACK], ids=["ffa", "stack"])
VECTORS = Path(__file__).parents[3] / "vectors" / "flame_majority.json"


def stack_products(round: RoundInput) -> np.ndarray:
    return np.stack([get_products(round.spec, update) for update in round.updates])


def get_moved(rule: AggregationRule, round: RoundInput) -> np.ndarray:
    outcome, _ = rule.aggregate(round)
    assert outcome.aggregate is not None
    return get_moved_products(round, outcome.aggregate)


def compute_krum_scores(products: np.ndarray, attackers: int) -> list[float]:
    count = len(products)
    distances = ((products[:, None] - products[None, :]) ** 2).sum(axis=2)
    return [sum(sorted(np.delete(distances[i], i))[: count - attackers - 2]) for i in range(count)]


@MODES
@pytest.mark.parametrize("attackers", [0, 1, 2])
def test_krum_takes_the_update_with_the_nearest_neighbours(spec: AdapterSpec, attackers: int) -> None:
    round = build_round(spec, tuple(build_update(spec, seed) for seed in range(7)), attackers=attackers)
    scores = compute_krum_scores(stack_products(round), attackers)
    assert Krum().aggregate(round)[0].accepted == (int(np.argmin(scores)),)
    chosen = tuple(sorted(np.argsort(scores)[: 7 - attackers].tolist()))
    outcome, _ = MultiKrum().aggregate(round)
    assert outcome.accepted == chosen
    alone = build_round(spec, tuple(round.updates[index] for index in chosen))
    assert outcome.aggregate == FedAvg().aggregate(alone)[0].aggregate


def test_a_distrusted_update_is_not_krums_choice() -> None:
    round = build_round(FFA, build_cluster(FFA, 7, seed=1), attackers=1)
    (best,) = Krum().aggregate(round)[0].accepted
    weights = tuple(0.01 if index == best else 1.0 for index in range(7))
    assert Krum().aggregate(build_round(FFA, round.updates, attackers=1, weights=weights))[0].accepted != (best,)


@MODES
def test_the_geometric_median_has_the_least_total_distance(spec: AdapterSpec) -> None:
    weights = (1.0, 2.0, 1.0, 0.5, 1.0)
    round = build_round(spec, tuple(build_update(spec, seed) for seed in range(5)), weights=weights)
    products, moved = stack_products(round), get_moved(GeometricMedian(), round)

    def compute_total(point: np.ndarray) -> float:
        return float(np.linalg.norm(products - point, axis=1) @ weights)

    rng = np.random.default_rng(1)
    step = np.linalg.norm(products, axis=1).mean() * 0.05
    for _ in range(50):  # no direction goes down
        direction = rng.normal(size=moved.shape)
        assert compute_total(moved) < compute_total(moved + step * direction / np.linalg.norm(direction))
    assert compute_total(moved) < compute_total(np.average(products, axis=0, weights=weights))


@MODES
@pytest.mark.parametrize("rule", [Krum(), MultiKrum(), GeometricMedian(), DivideAndConquer(), Flame()])
def test_a_large_minority_far_away_moves_the_result_little(spec: AdapterSpec, rule: AggregationRule) -> None:
    honest = build_cluster(spec, 6, seed=1)
    mean = np.mean([get_products(spec, update) for update in honest], axis=0)
    attacked = build_round(spec, (*honest, *build_cluster(spec, 2, seed=2, scale=-25.0)), attackers=2)
    undefended = np.linalg.norm(get_moved(FedAvg(), attacked) - mean)
    assert np.linalg.norm(get_moved(rule, attacked) - mean) < 0.1 * undefended


def compute_foolsgold(cosines: np.ndarray) -> np.ndarray:
    """The paper's algorithm with its loops, diagonal not counted."""
    count = len(cosines)
    similar = [[float(cosines[i, j]) if i != j else 0.0 for j in range(count)] for i in range(count)]
    closest = [max(row) for row in similar]
    for i in range(count):
        for j in range(count):
            if i != j and closest[i] < closest[j]:
                similar[i][j] *= closest[i] / closest[j]
    credibility = [min(1.0, max(0.0, 1 - max(row))) for row in similar]
    most = max(credibility)
    found = []
    for value in credibility:
        value = 0.99 if value == most else value / most
        found.append(min(1.0, max(0.0, float(np.log(value / (1 - value)) + 0.5))) if value > 0 else 0.0)
    return np.array(found)


@given(st.integers(2, 8), st.integers(0, 10**6))
@settings(max_examples=60)
def test_credibility_is_the_papers(count: int, seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(count, 5))
    units = points / np.linalg.norm(points, axis=1, keepdims=True)
    cosines = units @ units.T
    np.testing.assert_allclose(compute_credibility(cosines), compute_foolsgold(cosines), atol=1e-9)


@MODES
def test_foolsgold_remembers_who_pointed_the_same_way(spec: AdapterSpec) -> None:
    names = ("a", "b", "s1", "s2")
    twins = build_cluster(spec, 4, seed=3, spread=0.02)
    state = b""
    history: np.ndarray | float = 0.0
    for number in range(2):
        own = tuple(build_update(spec, 10 * number + seed) for seed in range(2))
        round = build_round(spec, (*own, *twins[2 * number : 2 * number + 2]), trainers=names, number=number)
        outcome, state = FoolsGold().aggregate(round, state)
        products = stack_products(round)
        history = history + products
        units = history / np.linalg.norm(history, axis=1, keepdims=True)
        shares = compute_foolsgold(units @ units.T)
        assert shares[2:].max() < 0.1 < shares[:2].max()
        assert outcome.aggregate is not None
        wanted = shares @ products / shares.sum()
        np.testing.assert_allclose(get_moved_products(round, outcome.aggregate), wanted, atol=6e-5)


def test_foolsgold_rejects_equal_updates_altogether() -> None:
    outcome, _ = FoolsGold().aggregate(build_round(FFA, (build_update(FFA, 1),) * 3))
    assert (outcome.accepted, outcome.aggregate) == ((), None)


@MODES
def test_dnc_removes_what_sticks_out_along_the_first_direction(spec: AdapterSpec) -> None:
    updates = tuple(build_update(spec, seed) for seed in range(8))
    round = build_round(spec, updates, attackers=2)
    products = stack_products(round)
    centred = products - products.mean(axis=0)
    direction = np.linalg.svd(centred, full_matrices=False)[2][0]
    scores = (centred @ direction) ** 2
    outcome, _ = DivideAndConquer().aggregate(round)  # all entries are drawn: the adapter has fewer than 10,000
    assert outcome.accepted == tuple(sorted(np.argsort(scores)[:-2].tolist()))


def test_dncs_draws_follow_from_its_seed_and_the_round() -> None:
    updates = tuple(build_update(FFA, seed) for seed in range(9))
    rule = DivideAndConquer(iterations=1, entries=4)
    chosen = [rule.aggregate(build_round(FFA, updates, attackers=4, number=number))[0].accepted for number in range(12)]
    again = [rule.aggregate(build_round(FFA, updates, attackers=4, number=number))[0].accepted for number in range(12)]
    assert chosen == again
    assert len(set(chosen)) > 1


def test_flames_majority_is_hdbscans() -> None:
    cases = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]
    assert len(cases) >= 20
    for case in cases:
        points = np.array(case["points"])
        units = points / np.linalg.norm(points, axis=1, keepdims=True)
        assert list(find_majority(1 - units @ units.T)) == case["members"]


@given(st.integers(1, 12), st.integers(0, 10**6))
@settings(max_examples=60)
def test_a_majority_is_more_than_half_and_does_not_depend_on_the_order(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 4, count)  # many ties
    distances = np.abs(points[:, None] - points[None, :]).astype(float)
    members = find_majority(distances)
    assert 2 * len(members) > count
    order = rng.permutation(count)
    moved = find_majority(distances[np.ix_(order, order)])
    assert {int(order[index]) for index in moved} == set(members)


@MODES
def test_flame_clips_the_majority_to_the_median_norm(spec: AdapterSpec) -> None:
    honest = build_cluster(spec, 5, seed=1, spread=0.3)
    round = build_round(spec, (*honest, *build_cluster(spec, 2, seed=2, scale=-3.0)))
    products = stack_products(round)
    norms = np.linalg.norm(products, axis=1)
    outcome, _ = Flame(noise=0.0).aggregate(round)
    admitted = list(outcome.accepted)
    assert set(admitted) <= set(range(5))
    assert len(admitted) >= 4
    wanted = (products * np.minimum(1, np.median(norms) / norms)[:, None])[admitted].mean(axis=0)
    np.testing.assert_allclose(get_moved(Flame(noise=0.0), round), wanted, atol=6e-5)


def test_flames_noise_is_seeded_and_as_large_as_it_says() -> None:
    round = build_round(FFA, build_cluster(FFA, 5, seed=1), number=3)
    quiet, loud = get_moved(Flame(noise=0.0), round), get_moved(Flame(noise=0.5), round)
    assert Flame(noise=0.5).aggregate(round) == Flame(noise=0.5).aggregate(round)
    other = build_round(FFA, round.updates, number=4)
    assert Flame(noise=0.5).aggregate(other)[0].aggregate != Flame(noise=0.5).aggregate(round)[0].aggregate
    norm = np.median(np.linalg.norm(stack_products(round), axis=1))
    assert 0.2 < np.linalg.norm(loud - quiet) / (0.5 * norm * np.sqrt(20)) < 3
