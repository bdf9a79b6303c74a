"""Aggregates: exact, whatever the order, against arithmetic in fractions."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from itertools import permutations
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.exact import (
    STACK_EXTRA_SCALE_BITS,
    AdapterFileError,
    AggregateError,
    BytesSource,
    compute_aggregate,
    decode_aggregate,
    decode_update,
    encode_aggregate,
    encode_update,
    stream_aggregate,
)
from flockchain.exact import aggregate as aggregate_module
from flockchain.exact.adapter_file import LengthError, compute_update_header
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain.primitives.limits import UPDATES_PER_ROUND_MAX
from tests.kit.learning import build_adapter, build_update

FFA, STACK = build_adapter(), build_adapter(AdapterMode.STACK)
NAMES = ("layers.0.down", "layers.0.q")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=6), st.booleans(), st.randoms())
def test_ffa_adds_the_rounded_mean_to_what_was_there(seeds: list[int], has_previous: bool, shuffler: object) -> None:
    updates = [build_update(FFA, seed) for seed in seeds]
    previous = compute_aggregate(FFA, None, [build_update(FFA, 99)]) if has_previous else None
    shuffled = list(updates)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    data = compute_aggregate(FFA, previous, updates)
    assert compute_aggregate(FFA, previous, shuffled) == data
    old = decode_aggregate(previous, FFA) if previous is not None else {}
    for name, tensor in decode_aggregate(data, FFA).items():
        inputs = [decode_update(update, FFA)[name].reshape(-1).tolist() for update in updates]
        start = old[name].reshape(-1).tolist() if old else [0] * tensor.size
        wanted = [
            base + round(Fraction(sum(column), len(updates)))
            for base, column in zip(start, zip(*inputs, strict=True), strict=True)
        ]
        assert tensor.reshape(-1).tolist() == wanted


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([FFA, STACK]), st.lists(st.integers(0, 50), min_size=1, max_size=6), st.booleans(),
    st.integers(1, 40), st.randoms(use_true_random=False),
)  # fmt: skip
def test_neither_the_order_nor_the_size_of_a_window_changes_a_bit(
    adapter: AdapterSpec, seeds: list[int], has_previous: bool, window: int, shuffler: Random
) -> None:
    updates = [build_update(adapter, seed) for seed in seeds]
    previous = compute_aggregate(adapter, None, updates[:1]) if has_previous else None
    whole = compute_aggregate(adapter, previous, updates)
    shuffler.shuffle(updates)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aggregate_module, "_WINDOW_VALUES", window)
        assert compute_aggregate(adapter, previous, updates) == whole


@pytest.mark.parametrize("adapter", [FFA, STACK])
def test_a_foreign_file_is_refused_before_the_first_piece(adapter: AdapterSpec) -> None:
    good, header = build_update(adapter, 1), compute_update_header(adapter)
    respelled = good.replace(b'"shape":[', b'"shape" :[', 1)
    bads = [
        (good + b"\0", LengthError),
        (good[:-1], LengthError),
        (header, LengthError),
        (header[:-1], AdapterFileError),
    ]
    for bad, error in [*bads, (respelled, AdapterFileError), (b"", AdapterFileError)]:
        with pytest.raises(error):
            stream_aggregate(adapter, None, [BytesSource(good), BytesSource(bad)])
        if adapter.mode is AdapterMode.FFA:
            with pytest.raises(AdapterFileError):
                stream_aggregate(adapter, BytesSource(bad), [BytesSource(good)])


def test_a_window_holds_what_a_round_can_sum_to_at_both_ends() -> None:
    for value in (-(2**15), 2**15 - 1):
        tensors = {name: np.full(tensor.shape, value, np.int16) for name, tensor in
                   decode_update(build_update(FFA, 1), FFA).items()}  # fmt: skip
        most = compute_aggregate(FFA, None, [encode_update(tensors, FFA)] * UPDATES_PER_ROUND_MAX)
        assert all((tensor == value).all() for tensor in decode_aggregate(most, FFA).values())


@pytest.mark.parametrize(("old", "step", "fits"), [(2**31 - 2, 1, True), (2**31 - 1, 1, False), (2**31 - 1, -1, True),
                                                   (-(2**31) + 1, -1, True), (-(2**31), -1, False)])  # fmt: skip
def test_the_ends_of_32_bits_can_be_reached_and_not_passed(old: int, step: int, fits: bool) -> None:
    shapes = {name: tensor.shape for name, tensor in decode_update(build_update(FFA, 1), FFA).items()}
    previous = encode_aggregate({name: np.full(shape, old, np.int32) for name, shape in shapes.items()}, FFA)
    update = encode_update({name: np.full(shape, step, np.int16) for name, shape in shapes.items()}, FFA)
    if not fits:
        with pytest.raises(AggregateError, match="32 bits"):
            compute_aggregate(FFA, previous, [update])
        return
    for tensor in decode_aggregate(compute_aggregate(FFA, previous, [update]), FFA).values():
        assert (tensor == old + step).all()


def test_every_order_of_a_stack_gives_the_same_bytes() -> None:
    updates = [build_update(STACK, seed) for seed in range(4)]
    assert len({compute_aggregate(STACK, None, list(order)) for order in permutations(updates)}) == 1


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_a_stack_of_a_power_of_two_is_the_exact_mean_of_products(count: int) -> None:
    updates = [build_update(STACK, seed) for seed in range(count)]
    stack = decode_aggregate(compute_aggregate(STACK, None, updates), STACK)
    for name in NAMES:
        b, a = stack[f"{name}.lora_B"].astype(object), stack[f"{name}.lora_A"].astype(object)
        products = [
            decode_update(update, STACK)[f"{name}.lora_B"].astype(object)
            @ decode_update(update, STACK)[f"{name}.lora_A"].astype(object)
            for update in updates
        ]
        assert ((b @ a) * count == sum(products) * 2**STACK_EXTRA_SCALE_BITS).all()


def test_a_stack_of_three_is_within_half_a_step_of_the_finer_scale() -> None:
    updates = [build_update(STACK, seed) for seed in range(3)]
    ordered = sorted(updates, key=lambda data: hashlib.sha256(data).digest())
    stack = decode_aggregate(compute_aggregate(STACK, None, updates), STACK)
    for name in NAMES:
        columns = np.concatenate([decode_update(data, STACK)[f"{name}.lora_B"] for data in ordered], axis=1)
        exact = columns.astype(np.int64) << STACK_EXTRA_SCALE_BITS
        assert (np.abs(3 * stack[f"{name}.lora_B"].astype(np.int64) - exact) * 2 <= 3).all()
        rows = np.concatenate([decode_update(data, STACK)[f"{name}.lora_A"] for data in ordered], axis=0)
        assert (stack[f"{name}.lora_A"] == rows).all()


def test_extreme_int16_values_do_not_overflow() -> None:
    lowest = {f"{name}.lora_B": np.full((6, 2) if "down" in name else (4, 2), -(2**15), np.int16) for name in NAMES}
    ffa = compute_aggregate(FFA, None, [encode_update(lowest, FFA)] * 3)
    assert all((tensor == -(2**15)).all() for tensor in decode_aggregate(ffa, FFA).values())
    full = {name: np.full(tensor.shape, -(2**15), np.int16) for name, tensor in
            decode_update(build_update(STACK, 1), STACK).items()}  # fmt: skip
    stack = decode_aggregate(compute_aggregate(STACK, None, [encode_update(full, STACK)]), STACK)
    assert (stack["layers.0.q.lora_B"] == -(2**30)).all()


def test_a_sum_outside_32_bits_is_refused() -> None:
    top = {name: np.full(tensor.shape, 2**31 - 1, np.int32) for name, tensor in
           decode_aggregate(compute_aggregate(FFA, None, [build_update(FFA, 1)]), FFA).items()}  # fmt: skip
    ones = {name: np.ones(tensor.shape, np.int16) for name, tensor in top.items()}
    with pytest.raises(AggregateError, match="32 bits"):
        compute_aggregate(FFA, encode_aggregate(top, FFA), [encode_update(ones, FFA)])


def test_no_updates_and_foreign_bytes_are_refused() -> None:
    with pytest.raises(AggregateError):
        compute_aggregate(FFA, None, [])
    with pytest.raises(AdapterFileError):
        compute_aggregate(FFA, None, [build_update(FFA, 1), b"noise"])
    with pytest.raises(AdapterFileError):
        compute_aggregate(FFA, b"noise", [build_update(FFA, 1)])


@pytest.mark.parametrize(
    ("mode", "golden"),
    [
        (AdapterMode.FFA, "1ba5bbf587330be429eac47ca1107e2ab85ecca1a2fd4acd368eaed4ae705d9c"),
        (AdapterMode.STACK, "07a2b2c7c4c3b8cf10879ac8687fe9f719d30186962b17248559a15baee1afda"),
    ],
)
def test_the_golden_digest_of_an_aggregate_does_not_change(mode: AdapterMode, golden: str) -> None:
    adapter = build_adapter(mode)
    values = {
        name: (np.arange(tensor.size, dtype=np.int64) * 257 % 4001 - 2000).astype(np.int16).reshape(tensor.shape)
        for name, tensor in decode_update(build_update(adapter, 0), adapter).items()
    }
    updates = [encode_update({name: tensor + step for name, tensor in values.items()}, adapter) for step in range(3)]
    assert hashlib.sha256(compute_aggregate(adapter, None, updates)).hexdigest() == golden
