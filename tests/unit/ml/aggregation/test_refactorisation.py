"""Proposals of few factors: as near as float algebra allows, judged by integers; the stack stays where they fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flockchain.exact import (
    RefactorisationError,
    ResidualBound,
    compute_aggregate,
    compute_residuals,
    decode_aggregate,
    encode_aggregate,
    encode_update,
    require_refactorisation,
)
from flockchain.exact.refactorisation import ResidualError
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain_ml.aggregation.refactorisation import FactorsError, compress_stacks, propose_factors
from flockchain_ml.tensors import decode_lineage
from tests.kit.learning import build_adapter

WIDE = tuple(
    replace(module, out_features=40 + 7 * at, in_features=30 + 5 * at)
    for at, module in enumerate(build_adapter(AdapterMode.STACK).modules)
)
SPEC = AdapterSpec(4, 8, AdapterMode.STACK, build_adapter().a_seed, WIDE)


def build_stack(seed: int, count: int = 5, spread: float = 0.2) -> bytes:
    """A round of updates around a common one, as trainers of one task make them."""
    rng = np.random.default_rng(seed)
    middle = {}
    for module in SPEC.modules:
        middle[f"{module.name}.lora_A"] = rng.normal(0, 4000, (SPEC.rank, module.in_features))
        middle[f"{module.name}.lora_B"] = rng.normal(0, 600, (module.out_features, SPEC.rank))
    updates = []
    for _ in range(count):
        noisy = {name: values + spread * np.abs(values).mean() * rng.normal(size=values.shape)
                 for name, values in middle.items()}  # fmt: skip
        updates.append(encode_update({name: np.rint(values).astype(np.int16) for name, values in noisy.items()}, SPEC))
    return compute_aggregate(SPEC, None, updates)


def build_random_factors(like: bytes, seed: int) -> bytes:
    """Factors of the same sizes as a proposal's, in other directions."""
    rng = np.random.default_rng(seed)
    shuffled = {name: rng.permutation(tensor.ravel()).reshape(tensor.shape)
                for name, tensor in decode_aggregate(like, SPEC).items()}  # fmt: skip
    return encode_aggregate(shuffled, SPEC)


def multiply(lineage: tuple[bytes, ...], module: str) -> np.ndarray:
    adapter = decode_lineage(lineage, SPEC)
    return adapter.b[module].astype(np.float64) @ adapter.a[module].astype(np.float64)


@pytest.mark.parametrize("seed", range(4))
def test_a_proposal_is_as_near_as_a_matrix_of_its_rank_can_be(seed: int) -> None:
    stack = build_stack(seed)
    proposal = propose_factors(SPEC, [stack])
    for found in compute_residuals(SPEC, [stack], proposal):
        values = np.linalg.svd(multiply((stack,), found.module), compute_uv=False)
        best = (values[SPEC.rank :] ** 2).sum() / (values**2).sum()
        assert found.residual / found.norm == pytest.approx(best, rel=1e-4)
        assert found.is_free_of_cancellation()


@pytest.mark.parametrize("seed", range(4))
def test_a_proposal_meets_a_bound_that_random_factors_fail(seed: int) -> None:
    stack, bound = build_stack(seed), ResidualBound(1, 10)
    proposal = propose_factors(SPEC, [stack])
    require_refactorisation(SPEC, [stack], proposal, bound)
    with pytest.raises(ResidualError):
        require_refactorisation(SPEC, [stack], build_random_factors(proposal, seed), bound)
    with pytest.raises(ResidualError):
        require_refactorisation(SPEC, [stack], propose_factors(SPEC, [build_stack(seed + 100)]), bound)


def test_several_rounds_become_one_file_that_says_nearly_the_same() -> None:
    stacks, bound = (build_stack(1), build_stack(1, count=3)), ResidualBound(1, 10)
    compressed = compress_stacks(SPEC, stacks, bound)
    assert len(compressed) == 1
    assert decode_lineage(stacks, SPEC).rank == 8 * SPEC.rank
    assert decode_lineage(compressed, SPEC).rank == SPEC.rank
    for module in SPEC.modules:
        whole, kept = multiply(stacks, module.name), multiply(compressed, module.name)
        assert np.linalg.norm(whole - kept) < np.sqrt(0.1) * np.linalg.norm(whole)


def test_full_rank_is_exact_but_for_rounding() -> None:
    stack = build_stack(3, count=2)
    for found in compute_residuals(SPEC, [stack], propose_factors(SPEC, [stack], 2), 2):
        assert found.residual * 10**10 < found.norm
        assert found.is_free_of_cancellation()


def test_the_stacks_stay_when_no_proposal_is_near_enough() -> None:
    stacks = (build_stack(5, spread=3.0),)
    assert compress_stacks(SPEC, stacks, ResidualBound(1, 1000)) == stacks
    assert len(compress_stacks(SPEC, stacks, ResidualBound(99, 100))) == 1


def test_a_stack_of_zeros_has_factors_of_zeros() -> None:
    zeros = {name: np.zeros_like(tensor) for name, tensor in decode_aggregate(build_stack(1), SPEC).items()}
    compressed = compress_stacks(SPEC, (encode_aggregate(zeros, SPEC),), ResidualBound(0, 1))
    assert len(compressed) == 1
    assert all(not tensor.any() or name.endswith("A") for name, tensor in decode_aggregate(compressed[0], SPEC).items())


def test_what_cannot_be_proposed_is_refused_and_the_stacks_stay() -> None:
    ends = {name: np.full_like(tensor, -(2**31)) for name, tensor in decode_aggregate(build_stack(1), SPEC).items()}
    largest = encode_aggregate(ends, SPEC)
    with pytest.raises(FactorsError):
        propose_factors(SPEC, [largest])
    assert compress_stacks(SPEC, [largest], ResidualBound(1, 1)) == (largest,)
    with pytest.raises(RefactorisationError):
        propose_factors(SPEC, [])
    with pytest.raises(RefactorisationError):
        propose_factors(build_adapter(), [largest])
