"""The exact means: FedAvg, FedProx, their weights, and norm clipping around them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.exact import compute_aggregate, decode_aggregate, decode_update
from flockchain.primitives.errors import InvariantBroken
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain_ml.aggregation import CoordinateMedian, FedAvg, FedProx, NormClip, build_client_hook
from flockchain_ml.aggregation.weighting import SHARE_ONE, compute_shares
from tests.kit.learning import build_update
from tests.kit.rounds import FFA, STACK, build_cluster, build_round, get_moved_products, get_products

MODES = pytest.mark.parametrize("spec", [FFA, STACK], ids=["ffa", "stack"])
weights_of_four = st.lists(st.floats(0, 10, allow_subnormal=False), min_size=4, max_size=4)


@MODES
@given(weights=weights_of_four, samples=st.lists(st.integers(0, 500), min_size=4, max_size=4))
@settings(max_examples=40, deadline=None)
def test_the_mean_is_weighted_by_rows_times_weight(spec: AdapterSpec, weights: list[float], samples: list[int]) -> None:
    updates = tuple(build_update(spec, seed) for seed in range(4))
    round = build_round(spec, updates, weights=tuple(weights), samples=tuple(samples))
    outcome, state = FedAvg().aggregate(round)
    shares = np.array(weights) * np.array(samples)
    assert state == b""
    if shares.max() == 0:
        assert outcome.aggregate is None
        assert outcome.accepted == ()
        return
    wanted = shares @ np.stack([get_products(spec, update) for update in updates]) / shares.sum()
    assert outcome.aggregate is not None
    got = get_moved_products(round, outcome.aggregate)
    np.testing.assert_allclose(got, wanted, atol=4e-5 if spec is FFA else 2e-8)
    assert set(outcome.accepted) <= {index for index, share in enumerate(shares) if share > 0}


@MODES
@pytest.mark.parametrize("weight", [1.0, 0.3, 7.0])
def test_equal_weights_give_the_chains_aggregate_byte_for_byte(spec: AdapterSpec, weight: float) -> None:
    updates = tuple(build_update(spec, seed) for seed in range(5))
    lineage = (compute_aggregate(spec, None, [build_update(spec, 9)]),)
    plain = build_round(spec, updates, lineage=lineage)
    weighted = build_round(spec, updates, lineage=lineage, weights=(weight,) * 5)
    for rule in (FedAvg(), FedProx()):
        assert rule.aggregate(plain)[0] == rule.aggregate(weighted)[0]
        assert rule.aggregate(plain)[0].aggregate == compute_aggregate(spec, lineage[-1], updates)


def test_a_weighted_mean_is_integers_rounded_half_to_even() -> None:
    updates = tuple(build_update(FFA, seed) for seed in range(3))
    outcome, _ = FedAvg().aggregate(build_round(FFA, updates, samples=(1, 2, 5)))
    assert outcome.aggregate is not None
    for name, values in decode_aggregate(outcome.aggregate, FFA).items():
        parts = [decode_update(update, FFA)[name].astype(np.int64) for update in updates]
        shares = compute_shares([1, 2, 5])
        for at in np.ndindex(values.shape):
            total, divisor = sum(s * int(p[at]) for s, p in zip(shares, parts, strict=True)), sum(shares)
            quotient, rest = divmod(total, divisor)
            up = 2 * rest > divisor or (2 * rest == divisor and quotient % 2)
            assert values[at] == quotient + up


@pytest.mark.parametrize(
    ("spec", "digest"),
    [
        pytest.param(FFA, "1fd7389e501a0e15f05b9ef6b6f4e08138481933bbfbd66c06040945cac16bdb", id="ffa"),
        pytest.param(STACK, "cfd572dfe83700538b4ae4ec7790c93c650b5feb8f8fefc9abf4d59f1c43b9ff", id="stack"),
    ],
)
def test_a_weighted_mean_has_the_same_bytes_on_every_machine(spec: AdapterSpec, digest: str) -> None:
    updates = tuple(build_update(spec, seed) for seed in range(7))
    weights = (0.1, 1 / 3, 2.0, 0.7, 1e-9, 0.55, 1.25)
    outcome, _ = FedAvg().aggregate(build_round(spec, updates, weights=weights, samples=(3, 40, 7, 9, 5, 11, 300)))
    assert outcome.aggregate is not None
    assert hashlib.sha256(outcome.aggregate).hexdigest() == digest


@given(st.lists(st.floats(0, 1e300), min_size=1, max_size=8))
def test_shares_keep_the_weights_ratios_to_a_millionth(weights: list[float]) -> None:
    shares = compute_shares(weights)
    if max(weights) == 0:
        assert set(shares) == {0}
        return
    assert max(shares) == SHARE_ONE
    assert all(abs(s / SHARE_ONE - w / max(weights)) < 1e-6 for s, w in zip(shares, weights, strict=True))


@pytest.mark.parametrize("weights", [(1.0, -0.1), (1.0, float("nan")), (float("inf"), 1.0), (1.0,)])
def test_a_round_refuses_weights_that_are_none(weights: tuple[float, ...]) -> None:
    with pytest.raises(InvariantBroken):
        build_round(FFA, (build_update(FFA, 1), build_update(FFA, 2)), weights=weights)


def test_fedprox_asks_for_its_proximal_term_and_fedavg_for_nothing() -> None:
    assert build_client_hook(FedProx(mu=0.2), FFA, "a", b"").proximal_mu == 0.2
    hook = build_client_hook(FedAvg(), FFA, "a", b"")
    assert hook.proximal_mu is None
    assert hook.control is None
    assert build_client_hook(NormClip(FedProx()), FFA, "a", b"").proximal_mu == 0.01


@MODES
def test_clipping_scales_what_is_too_large_to_the_median_norm_and_leaves_the_rest(spec: AdapterSpec) -> None:
    updates = (*build_cluster(spec, 4, seed=3), *build_cluster(spec, 1, seed=4, scale=20.0))
    round = build_round(spec, updates)
    outcome, _ = NormClip().aggregate(round)
    assert outcome.aggregate is not None
    products = np.stack([get_products(spec, update) for update in updates])
    norms = np.linalg.norm(products, axis=1)
    wanted = (products * np.minimum(1, np.median(norms) / norms)[:, None]).mean(axis=0)
    np.testing.assert_allclose(get_moved_products(round, outcome.aggregate), wanted, atol=6e-5)
    unclipped, _ = NormClip(bound=1e9).aggregate(round)
    assert unclipped == FedAvg().aggregate(round)[0]


def test_clipping_goes_around_any_rule() -> None:
    updates = build_cluster(FFA, 5, seed=3)
    rule = NormClip(CoordinateMedian(), bound=1e9)
    assert rule.name == "clipped-median"
    assert rule.aggregate(build_round(FFA, updates)) == CoordinateMedian().aggregate(build_round(FFA, updates))
    assert AdapterMode.STACK in rule.card.modes
