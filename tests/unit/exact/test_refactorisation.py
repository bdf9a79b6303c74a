"""Re-factorisations: exact residuals against dense integer products, and what a proposer may not do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.exact import (
    AdapterFileError,
    ResidualBound,
    compute_aggregate,
    compute_residuals,
    decode_aggregate,
    encode_aggregate,
    require_refactorisation,
)
from flockchain.exact.adapter_file import Tensors
from flockchain.exact.refactorisation import (
    TERMS_MOST,
    BoundError,
    CancellationError,
    ModuleResidual,
    NotStackedError,
    ResidualError,
)
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from tests.kit.learning import build_adapter, build_update

STACK = build_adapter(AdapterMode.STACK)
ENDS = (-(2**31), -(2**31) + 1, -(2**16), -(2**15) - 1, -(2**15), -1, 0, 1, 2**15 - 1, 2**15, 2**16, 2**31 - 1)
ENTRIES = st.one_of(st.sampled_from(ENDS), st.integers(-(2**31), 2**31 - 1), st.integers(-3, 3))


def build_file(spec: AdapterSpec, updates: int, draw: Any) -> bytes:
    """An aggregate file whose entries come from `draw`, one call each."""
    tensors = {}
    for module in spec.modules:
        for name, shape in (("A", (updates * spec.rank, module.in_features)),
                            ("B", (module.out_features, updates * spec.rank))):  # fmt: skip
            values = [draw() for _ in range(shape[0] * shape[1])]
            tensors[f"{module.name}.lora_{name}"] = np.array(values, np.int64).astype(np.int32).reshape(shape)
    return encode_aggregate(tensors, spec)


def fill(spec: AdapterSpec, updates: int, value: int) -> bytes:
    return build_file(spec, updates, lambda: value)


def multiply(tensors: Tensors, module: str) -> Any:
    """B·A of Python integers, built in full."""
    return tensors[f"{module}.lora_B"].astype(object) @ tensors[f"{module}.lora_A"].astype(object)


def measure_densely(spec: AdapterSpec, stacks: list[bytes], proposal: bytes) -> list[ModuleResidual]:
    found = []
    offered = decode_aggregate(proposal, spec)
    for module in spec.modules:
        whole = sum(multiply(decode_aggregate(stack, spec), module.name) for stack in stacks)
        a, b = (offered[f"{module.name}.lora_{name}"].astype(object) for name in "AB")
        terms = sum(int(((b[:, [j]] @ a[[j]]) ** 2).sum()) for j in range(len(a)))
        squares = int(((whole - b @ a) ** 2).sum()), int((whole**2).sum())
        found.append(ModuleResidual(module.name, *squares, terms))
    return found


@settings(max_examples=60, deadline=None)
@given(st.data(), st.lists(st.integers(1, 2), min_size=1, max_size=2), st.integers(1, 2))
def test_the_residual_is_that_of_the_dense_product(data: st.DataObject, stacks: list[int], rank_factor: int) -> None:
    small = replace(STACK, rank=1)
    files = [build_file(small, updates, lambda: data.draw(ENTRIES)) for updates in stacks]
    proposal = build_file(small, rank_factor, lambda: data.draw(ENTRIES))
    measured = compute_residuals(small, files, proposal, rank_factor)
    assert list(measured) == measure_densely(small, files, proposal)


@pytest.mark.parametrize("value", [-(2**31), 2**31 - 1])
def test_the_largest_integers_do_not_overflow(value: int) -> None:
    wide = tuple(replace(module, in_features=5000, out_features=3) for module in STACK.modules)
    spec = replace(STACK, rank=2, modules=wide)
    stacks, proposal = [fill(spec, 3, -(2**31))], fill(spec, 1, value)
    for found in compute_residuals(spec, stacks, proposal):
        # every entry of the product of rank R is R · value², with the stack's all equal
        whole, offered, entries = 6 * 2**62, 2 * value**2, 3 * 5000
        assert found.norm == entries * whole**2
        assert found.residual == entries * (whole - offered) ** 2
        assert found.terms == 2 * entries * value**4


def test_a_stack_stands_for_itself_and_nothing_for_nothing() -> None:
    stack = compute_aggregate(STACK, None, [build_update(STACK, seed) for seed in range(3)])
    measured = compute_residuals(STACK, [stack], stack, 3)
    assert all(found.residual == 0 and found.norm > 0 for found in measured)
    nothing, exactly = fill(STACK, 1, 0), ResidualBound(0, 1)
    require_refactorisation(STACK, [fill(STACK, 2, 0)], nothing, exactly)
    with pytest.raises(ResidualError):
        require_refactorisation(STACK, [fill(STACK, 2, 0)], fill(STACK, 1, 1), ResidualBound(1, 1))
    with pytest.raises(ResidualError):
        require_refactorisation(STACK, [stack], nothing, ResidualBound(999_999, 1_000_000))
    require_refactorisation(STACK, [stack], nothing, ResidualBound(1, 1))  # what a bound of everything means


def test_the_bound_is_exact_at_its_edge() -> None:
    found = ModuleResidual("m", 3 * 10**60, 7 * 10**60, 0)
    assert found.is_within(ResidualBound(3, 7))
    assert not replace(found, residual=found.residual + 1).is_within(ResidualBound(3, 7))
    edge = ModuleResidual("m", 0, 10**60, TERMS_MOST * 10**60)
    assert edge.is_free_of_cancellation()
    assert not replace(edge, terms=edge.terms + 1).is_free_of_cancellation()


def test_one_erased_module_is_refused_however_small_it_is() -> None:
    """In a sum over modules it would pass: this is what each by itself is for."""
    stack = dict(decode_aggregate(fill(STACK, 1, 2000), STACK))
    small, large = (module.name for module in STACK.modules)
    stack[f"{small}.lora_B"] = stack[f"{small}.lora_B"] // 1000
    erased = {**stack, f"{small}.lora_B": stack[f"{small}.lora_B"] * 0}
    files, bound = [encode_aggregate(stack, STACK)], ResidualBound(1, 1000)
    measured = compute_residuals(STACK, files, encode_aggregate(erased, STACK))
    total = sum(found.residual for found in measured), sum(found.norm for found in measured)
    assert total[0] * 1000 <= total[1]
    with pytest.raises(ResidualError, match=small):
        require_refactorisation(STACK, files, encode_aggregate(erased, STACK), bound)
    assert large != small


def test_terms_that_cancel_are_refused_though_their_product_is_exact() -> None:
    stack = dict(decode_aggregate(fill(STACK, 1, 40), STACK))
    for module in STACK.modules:  # one useful column, one of zeros
        stack[f"{module.name}.lora_B"] = stack[f"{module.name}.lora_B"] * np.array([1, 0], np.int32)
    hidden = dict(stack)
    for module in STACK.modules:  # (b + X)·a − X·a = b·a
        b = stack[f"{module.name}.lora_B"] + np.array([2**24, -(2**24)], np.int32)
        hidden[f"{module.name}.lora_B"] = b.astype(np.int32)
    files, exactly = [encode_aggregate(stack, STACK)], ResidualBound(0, 1)
    require_refactorisation(STACK, files, files[0], exactly)
    proposal = encode_aggregate(hidden, STACK)
    assert all(found.residual == 0 for found in compute_residuals(STACK, files, proposal))
    with pytest.raises(CancellationError):
        require_refactorisation(STACK, files, proposal, exactly)


def test_foreign_files_ranks_modes_and_bounds_are_refused() -> None:
    stack = fill(STACK, 2, 5)
    for bad in (fill(STACK, 2, 5), b"", b"noise", fill(STACK, 1, 5) + b"\0", build_update(STACK, 1)):
        with pytest.raises(AdapterFileError):
            compute_residuals(STACK, [stack], bad)
    with pytest.raises(AdapterFileError):
        compute_residuals(STACK, [b"noise"], fill(STACK, 1, 5))
    with pytest.raises(NotStackedError):
        compute_residuals(STACK, [], fill(STACK, 1, 5))
    ffa = build_adapter()
    with pytest.raises(NotStackedError):
        compute_residuals(ffa, [stack], compute_aggregate(ffa, None, [build_update(ffa, 1)]))
    for bound in ((-1, 2), (3, 2), (0, 0), (0, -1)):
        with pytest.raises(BoundError):
            ResidualBound(*bound)
