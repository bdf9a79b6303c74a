"""Float adapters and their fixed-point bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.exact import (
    AdapterFileError,
    compute_aggregate,
    compute_update_bytes,
    decode_aggregate,
    decode_update,
    encode_update,
)
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain.primitives.numbers import Hash
from flockchain_ml.tensors import (
    Adapter,
    LineageEmpty,
    NotFinite,
    OutOfRange,
    TensorMissing,
    build_module_shape,
    decode_adapter,
    decode_lineage,
    decode_start,
    encode_adapter,
)

BITS = 12


def build_spec(mode: AdapterMode) -> AdapterSpec:
    modules = tuple(
        build_module_shape(name, shape, mode=mode, b_scale_bits=BITS) for name, shape in (("k", (3, 4)), ("q", (2, 5)))
    )
    return AdapterSpec(rank=2, alpha=4, mode=mode, a_seed=Hash(bytes(32)), modules=modules)


FFA, STACK = build_spec(AdapterMode.FFA), build_spec(AdapterMode.STACK)


def build_adapter(spec: AdapterSpec, value: float = 0.25) -> Adapter:
    return Adapter(
        {m.name: np.full((spec.rank, m.in_features), value / 4, np.float32) for m in spec.modules},
        {m.name: np.full((m.out_features, spec.rank), value, np.float32) for m in spec.modules},
    )


@given(st.floats(-7.9, 7.9), st.sampled_from([FFA, STACK]))
@settings(max_examples=100)
def test_a_decoded_value_is_within_half_a_step_of_what_was_encoded(value: float, spec: AdapterSpec) -> None:
    adapter = build_adapter(spec, value)
    data = encode_adapter(Adapter(build_adapter(spec, 0.5).a, adapter.b), spec)
    decoded = decode_adapter(data, spec)
    for name, values in adapter.b.items():
        assert np.abs(decoded.b[name].astype(np.float64) - values).max() <= 0.5 * 2.0**-BITS


@given(st.lists(st.integers(-32767, 32767), min_size=6, max_size=6), st.sampled_from([FFA, STACK]))
@settings(max_examples=100)
def test_bytes_that_were_decoded_encode_to_the_same_bytes(values: list[int], spec: AdapterSpec) -> None:
    tensors = {}
    for name, tensor in decode_update(encode_adapter(build_adapter(spec), spec), spec).items():
        tensors[name] = np.resize(np.array(values, np.int16), tensor.shape)
    data = encode_update(tensors, spec)
    assert encode_adapter(decode_adapter(data, spec), spec) == data


def test_half_a_step_is_rounded_to_the_even_integer() -> None:
    steps = np.array([[0.5, 1.5], [2.5, -0.5], [-1.5, -2.5]], np.float32)
    adapter = build_adapter(FFA)
    data = encode_adapter(Adapter(adapter.a, {**adapter.b, "k": steps * np.float32(2.0**-BITS)}), FFA)
    assert decode_update(data, FFA)["k.lora_B"].tolist() == [[0, 2], [2, 0], [-2, -2]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("spec", [FFA, STACK], ids=["ffa", "stack"])
def test_nan_and_infinities_are_refused(value: float, spec: AdapterSpec) -> None:
    adapter = build_adapter(spec)
    values = adapter.b["q"].copy()
    values[1, 1] = value
    with pytest.raises(NotFinite, match=r"q\.lora_B"):
        encode_adapter(Adapter(adapter.a, {**adapter.b, "q": values}), spec)


def test_a_value_outside_int16_is_refused_and_the_largest_one_is_not() -> None:
    adapter = build_adapter(FFA)
    largest = np.full((2, 2), 32767 * 2.0**-BITS, np.float32)
    encode_adapter(Adapter(adapter.a, {**adapter.b, "q": largest}), FFA)
    with pytest.raises(OutOfRange, match="scale_bits=12"):
        encode_adapter(Adapter(adapter.a, {**adapter.b, "q": -(largest + np.float32(2.0**-BITS))}), FFA)


def test_an_adapter_without_a_module_of_the_task_is_refused() -> None:
    adapter = build_adapter(FFA)
    with pytest.raises(TensorMissing):
        encode_adapter(Adapter(adapter.a, {"q": adapter.b["q"]}), FFA)


def test_an_adapter_of_another_rank_is_refused() -> None:
    wide = {m.name: np.zeros((m.out_features, 3), np.float32) for m in FFA.modules}
    with pytest.raises(AdapterFileError):
        encode_adapter(Adapter({}, wide), FFA)


def test_an_ffa_update_holds_b_alone_and_a_is_the_tasks() -> None:
    first, second = build_adapter(FFA, 0.25), build_adapter(FFA, 0.5)
    assert encode_adapter(Adapter(second.a, first.b), FFA) == encode_adapter(first, FFA)
    assert len(encode_adapter(first, FFA)) == compute_update_bytes(FFA)
    frozen = decode_lineage((), FFA).a
    assert all(np.array_equal(decode_adapter(encode_adapter(first, FFA), FFA).a[n], frozen[n]) for n in frozen)


def test_an_ffa_model_starts_at_zero_and_is_its_last_aggregate() -> None:
    update = encode_adapter(build_adapter(FFA, 0.5), FFA)
    one = compute_aggregate(FFA, None, [update])
    two = compute_aggregate(FFA, one, [update, update])
    assert not any(values.any() for values in decode_lineage((), FFA).b.values())
    assert all((values == 1.0).all() for values in decode_lineage((one, two), FFA).b.values())


def test_a_stacked_model_is_all_rounds_side_by_side_and_needs_one() -> None:
    update = encode_adapter(build_adapter(STACK, 0.5), STACK)
    one, two = compute_aggregate(STACK, None, [update]), compute_aggregate(STACK, None, [update, update])
    model = decode_lineage((one, two), STACK)
    assert model.rank == 3 * STACK.rank
    assert model.a["q"].shape == (6, 5)
    assert (model.b["q"][:, :2] == 0.5).all()
    assert (model.b["q"][:, 2:] == 0.25).all()
    product = model.b["q"] @ model.a["q"]
    alone = build_adapter(STACK, 0.5)
    np.testing.assert_allclose(product, 2 * (alone.b["q"] @ alone.a["q"]), rtol=1e-6)
    assert decode_aggregate(two, STACK)["q.lora_B"].shape == (2, 4)
    with pytest.raises(LineageEmpty):
        decode_lineage((), STACK)


def test_a_stack_trainer_starts_inside_the_range_with_room_to_grow() -> None:
    start = decode_start(STACK, 0)
    assert not any(values.any() for values in start.b.values())
    assert all(0 < np.abs(values).max() <= 1 for values in start.a.values())
    encode_adapter(Adapter({name: 7.9 * values for name, values in start.a.items()}, start.b), STACK)
    assert not np.array_equal(decode_start(STACK, 1).a["q"], start.a["q"])
