"""Copies and near copies."""

from __future__ import annotations

import numpy as np
import pytest

from flockchain.exact import compute_copied_index, decode_update
from flockchain.exact.adapter_file import Tensors
from tests.kit.learning import build_adapter, build_update

ADAPTER = build_adapter()


def build(seed: int) -> Tensors:
    return decode_update(build_update(ADAPTER, seed), ADAPTER)


def change(tensors: Tensors, step: int) -> Tensors:
    return {name: (tensor.astype(np.int64) + step).astype(np.int16) for name, tensor in tensors.items()}


def test_the_first_copied_update_is_named() -> None:
    earlier = [build(1), build(2), build(2)]
    assert compute_copied_index(earlier, build(2)) == 1


def test_different_updates_are_no_copies() -> None:
    assert compute_copied_index([build(seed) for seed in range(5)], build(9)) is None
    assert compute_copied_index([], build(1)) is None


@pytest.mark.parametrize(("step", "is_copy"), [(1, True), (40, True), (300, False)])
def test_a_small_change_does_not_hide_a_copy(step: int, is_copy: bool) -> None:
    assert (compute_copied_index([build(1)], change(build(1), step)) == 0) is is_copy


def test_the_sign_flipped_update_is_no_copy() -> None:
    flipped = {name: -tensor for name, tensor in build(1).items()}
    assert compute_copied_index([build(1)], flipped) is None


@pytest.mark.parametrize(("step", "is_copy"), [(72, True), (73, False)])
def test_the_bound_is_exact(step: int, is_copy: bool) -> None:
    """64 entries of 50, one of them moved: 64·step² <= 320,000 + 100·step + step² up to 72."""
    x = np.full((8, 8), 50, np.int16)
    y = x.copy()
    y[3, 4] += step
    assert (compute_copied_index([{"t": x}], {"t": y}) == 0) is is_copy


def test_extreme_values_do_not_overflow() -> None:
    low, high = np.full((1024, 1025), -(2**15), np.int16), np.full((1024, 1025), 2**15 - 1, np.int16)
    assert compute_copied_index([{"t": low}], {"t": high}) is None
    assert compute_copied_index([{"t": high}], {"t": high}) == 0
