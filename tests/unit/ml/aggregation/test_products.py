"""Inner products, norms and samples of ΔW from the factors alone, against products built in full."""

from __future__ import annotations

import numpy as np
import pytest

from flockchain.exact import decode_update, encode_update
from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.aggregation.changes import encode_change
from flockchain_ml.aggregation.products import (
    compute_cosines,
    compute_gram,
    compute_norms,
    compute_squared_distances,
    count_entries,
    decode_factors,
    sample_entries,
)
from tests.kit.learning import build_update
from tests.kit.rounds import FFA, STACK, build_round, get_moved_products, get_products, truncate

MODES = pytest.mark.parametrize("spec", [FFA, STACK], ids=["ffa", "stack"])


@MODES
def test_the_gram_matrix_is_that_of_the_products(spec: AdapterSpec) -> None:
    updates = [build_update(spec, seed) for seed in range(5)]
    full = np.stack([get_products(spec, update) for update in updates])
    gram = compute_gram(spec, decode_factors(spec, updates))
    np.testing.assert_allclose(gram, full @ full.T, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(compute_norms(spec, decode_factors(spec, updates)), np.linalg.norm(full, axis=1))
    distances = ((full[:, None] - full[None, :]) ** 2).sum(axis=2)
    np.testing.assert_allclose(compute_squared_distances(gram), distances, rtol=1e-9, atol=1e-15)
    units = full / np.linalg.norm(full, axis=1, keepdims=True)
    np.testing.assert_allclose(compute_cosines(gram), units @ units.T, atol=1e-12)


@MODES
def test_sampled_entries_are_those_of_the_products(spec: AdapterSpec) -> None:
    updates = [build_update(spec, seed) for seed in range(3)]
    full = np.stack([get_products(spec, update) for update in updates])
    assert full.shape[1] == count_entries(spec)
    positions = np.arange(count_entries(spec))[::3]
    np.testing.assert_allclose(sample_entries(spec, decode_factors(spec, updates), positions), full[:, positions])


def test_a_change_of_basis_that_leaves_the_product_alone_changes_no_inner_product() -> None:
    spec = STACK  # in FFA mode A is common: there is no other basis
    update, other = build_update(spec, 1), build_update(spec, 2)
    tensors = {name: values.copy() for name, values in decode_update(update, spec).items()}
    for name, values in tensors.items():  # swap the two directions and turn one of them around
        tensors[name] = (
            values[::-1] * np.int16([[1], [-1]]) if name.endswith("A") else values[:, ::-1] * np.int16([1, -1])
        )
    turned = encode_update(tensors, spec)
    assert turned != update
    first, second = (compute_gram(spec, decode_factors(spec, [given, other])) for given in (update, turned))
    np.testing.assert_allclose(first, second, rtol=1e-12)


@MODES
def test_an_update_of_zeros_has_no_direction_and_no_nan(spec: AdapterSpec) -> None:
    tensors = {name: np.zeros_like(values) for name, values in decode_update(build_update(spec, 1), spec).items()}
    updates = [encode_update(tensors, spec), build_update(spec, 2)]
    gram = compute_gram(spec, decode_factors(spec, updates))
    np.testing.assert_array_equal(compute_cosines(gram), np.eye(2))


@MODES
def test_a_change_becomes_an_aggregate_of_the_tasks_rank_and_back(spec: AdapterSpec) -> None:
    rng = np.random.default_rng(5)
    columns = {m.name: spec.rank if spec is FFA else m.in_features for m in spec.modules}
    change = {m.name: rng.normal(0, 0.01, (m.out_features, columns[m.name])) for m in spec.modules}
    aggregate = encode_change(spec, (), change)
    round = build_round(spec, ())
    if spec is STACK:
        wanted = truncate(spec, np.concatenate([change[m.name].ravel() for m in spec.modules]))
        np.testing.assert_allclose(get_moved_products(round, aggregate), wanted, atol=2e-6)
    twice = encode_change(spec, (aggregate,), change)
    assert (twice == aggregate) is (spec is STACK)  # a stack stands beside the others, B stands on the last one
