"""Copies and near copies: by what an update changes in the model, however it is written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from flockchain.exact import Originals, compute_copied_index, compute_initial_a, decode_update
from flockchain.exact.adapter_file import Tensors
from flockchain.primitives.learning import AdapterMode, AdapterSpec, ModuleShape
from flockchain.primitives.numbers import Hash
from tests.kit.learning import build_adapter, build_update

FFA, STACK = build_adapter(), build_adapter(AdapterMode.STACK)
BOTH = pytest.mark.parametrize("adapter", [FFA, STACK], ids=["ffa", "stack"])
LAYERS = (ModuleShape("k", 96, 128, 15, 14), ModuleShape("q", 64, 160, 15, 14))
WIDE = AdapterSpec(4, 8, AdapterMode.STACK, Hash(b"\3" * 32), LAYERS)

Matrix = NDArray[np.int16]


def build(adapter: AdapterSpec, seed: int) -> Tensors:
    return decode_update(build_update(adapter, seed), adapter)


def narrow(values: NDArray[np.float64] | NDArray[np.int64]) -> Matrix:
    return np.clip(np.rint(values), -32767, 32767).astype(np.int16)


def train_a_little(seed: int, rate: int = 3) -> Tensors:
    """A from the common start, one small step away by the sign of a gradient of its own; B one such step from zero."""
    rng, start = np.random.default_rng(seed), compute_initial_a(WIDE)
    tensors: Tensors = {}
    for module in WIDE.modules:
        a = start[f"{module.name}.lora_A"].astype(np.int64) >> 3
        tensors[f"{module.name}.lora_A"] = narrow(a + rate * rng.choice([-1, 1], a.shape))
        tensors[f"{module.name}.lora_B"] = narrow(rate * rng.choice([-1, 1], (module.out_features, WIDE.rank)))
    return tensors


def rewrite(tensors: Tensors, change: Callable[[Matrix, Matrix], tuple[NDArray, NDArray]]) -> Tensors:
    """Another pair (A, B) for every module, the same way."""
    result = dict(tensors)
    for name in (name.removesuffix(".lora_B") for name in tensors if name.endswith("B")):
        a, b = change(tensors[f"{name}.lora_A"].astype(np.int64), tensors[f"{name}.lora_B"].astype(np.int64))
        result |= {f"{name}.lora_A": narrow(a), f"{name}.lora_B": narrow(b)}
    return result


def add_noise(tensors: Tensors, part: float, seed: int = 5) -> Tensors:
    """`part`: the noise's size over the root mean square of each tensor."""
    rng = np.random.default_rng(seed)
    sizes = {name: part * np.sqrt(np.mean(np.square(values.astype(np.float64)))) for name, values in tensors.items()}
    return {name: narrow(values + rng.normal(0, sizes[name], values.shape)) for name, values in tensors.items()}


@BOTH
def test_the_first_copied_update_is_named(adapter: AdapterSpec) -> None:
    earlier = [build(adapter, seed) for seed in (1, 2, 2)]
    assert compute_copied_index(adapter, earlier, build(adapter, 2)) == 1


@BOTH
def test_different_updates_are_no_copies(adapter: AdapterSpec) -> None:
    assert compute_copied_index(adapter, [build(adapter, seed) for seed in range(5)], build(adapter, 9)) is None
    assert compute_copied_index(adapter, [], build(adapter, 1)) is None


def test_the_common_start_of_a_makes_no_copies_however_little_was_trained() -> None:
    for rate in (1, 3, 100):
        trained = [train_a_little(seed, rate) for seed in range(4)]
        assert all(compute_copied_index(WIDE, trained[:at], trained[at]) is None for at in range(4))


@pytest.mark.parametrize("original", [train_a_little(1), build(WIDE, 1)], ids=["a little", "much"])
def test_a_copy_stays_one_in_every_writing_of_the_same_product(original: Tensors) -> None:
    mixing = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, -1], [0, 0, 0, 1]])  # an inverse of integers, too
    undone = np.rint(np.linalg.inv(mixing)).astype(np.int64)
    writings: dict[str, Callable[[Matrix, Matrix], tuple[NDArray, NDArray]]] = {
        "as it is": lambda a, b: (a, b),
        "negated": lambda a, b: (-a, -b),
        "one rank negated": lambda a, b: (a * [[1], [-1], [1], [1]], b * [1, -1, 1, 1]),
        "permuted": lambda a, b: (a[[2, 0, 3, 1]], b[:, [2, 0, 3, 1]]),
        "A smaller, B larger": lambda a, b: (a / 8, b * 8),
        "A larger, B smaller": lambda a, b: (a * 3, b / 3),
        "mixed": lambda a, b: (mixing @ a, b @ undone),
    }
    for name, change in writings.items():
        assert compute_copied_index(WIDE, [build(WIDE, 8), original], rewrite(original, change)) == 1, name


def test_noise_where_the_other_matrix_is_zero_hides_nothing() -> None:
    original = rewrite(build(WIDE, 1), lambda a, b: (a, b * [1, 1, 1, 0]))
    noise = np.random.default_rng(1)
    hidden = rewrite(original, lambda a, b: (np.vstack([a[:3], noise.integers(-30000, 30000, a[:1].shape)]), b))
    assert compute_copied_index(WIDE, [original], hidden) == 0


@pytest.mark.parametrize(("adapter", "part", "is_copy"), [
    (WIDE, 0.05, True), (WIDE, 0.1, True), (WIDE, 0.2, False), (FFA, 0.05, True), (FFA, 0.1, True), (FFA, 0.5, False),
])  # fmt: skip
def test_a_little_noise_does_not_hide_a_copy(adapter: AdapterSpec, part: float, is_copy: bool) -> None:
    original = build(adapter, 1)
    assert (compute_copied_index(adapter, [original], add_noise(original, part)) == 0) is is_copy


@BOTH
@pytest.mark.parametrize(("times", "over"), [(2, 1), (1, 2), (30, 1)])
def test_a_longer_or_shorter_copy_is_one(adapter: AdapterSpec, times: int, over: int) -> None:
    original = build(adapter, 1)
    scaled = {n: narrow(t * np.int64(times) / over) if n.endswith("B") else t for n, t in original.items()}
    assert compute_copied_index(adapter, [original], scaled) == 0


@BOTH
def test_the_opposite_change_is_no_copy(adapter: AdapterSpec) -> None:
    turned = {name: -tensor if name.endswith("B") else tensor for name, tensor in build(adapter, 1).items()}
    assert compute_copied_index(adapter, [build(adapter, 1)], turned) is None


@BOTH
def test_two_updates_that_change_nothing_are_copies_and_one_is_not(adapter: AdapterSpec) -> None:
    nothing, neither = ({name: t * (name[-1] == "A") for name, t in build(adapter, seed).items()} for seed in (1, 2))
    assert compute_copied_index(adapter, [build(adapter, 1), nothing], neither) == 1
    assert compute_copied_index(adapter, [nothing], build(adapter, 1)) is None
    assert compute_copied_index(adapter, [build(adapter, 1)], nothing) is None


@pytest.mark.parametrize(("others", "is_copy"), [((11, 2, 1, 0), True), ((11, 2, 1, 1), True), ((11, 2, 2, 0), False)])
def test_the_bound_is_exact(others: tuple[int, ...], is_copy: bool) -> None:
    """(63, 0, ...) and (63, others) have the cosine 63/64 when the others' squares add up to 64² - 63² = 127."""
    adapter = replace(FFA, rank=1, modules=(ModuleShape("q", 5, 4, 15, 14),))
    x, y = ({"q.lora_B": np.array([[63], *([v] for v in rest)], np.int16)} for rest in ((0, 0, 0, 0), others))
    assert (compute_copied_index(adapter, [x], y) == 0) is is_copy
    assert (compute_copied_index(adapter, [y], x) == 0) is is_copy


def test_each_module_counts_by_its_own_scale() -> None:
    """Equal integers, but those of one layer stand for values 64 times as large: there a copy is decided."""
    modules = (ModuleShape("k", 8, 8, 15, 14), ModuleShape("q", 8, 8, 15, 8))
    for adapter in (replace(FFA, modules=modules), replace(STACK, modules=modules)):
        first, second = build(adapter, 1), build(adapter, 2)
        coarse = {name: second[name] if name.startswith("k") else first[name] for name in first}
        fine = {name: second[name] if name.startswith("q") else first[name] for name in first}
        assert compute_copied_index(adapter, [first], coarse) == 0
        assert compute_copied_index(adapter, [first], fine) is None


def test_the_modules_order_changes_no_finding() -> None:
    turned = replace(WIDE, modules=WIDE.modules[::-1])
    original = build(WIDE, 1)
    for part in (0.1, 0.115, 0.12, 0.125, 0.13, 0.15):
        near = add_noise(original, part)
        assert compute_copied_index(WIDE, [original], near) == compute_copied_index(turned, [original], near)


def test_originals_are_counted_without_their_copies() -> None:
    originals = Originals(STACK)
    found = [originals.find_copied(build(STACK, seed)) for seed in (1, 1, 2, 3, 2, 3, 1)]
    assert found == [None, 0, None, None, 1, 2, 0]


def test_extreme_values_do_not_overflow() -> None:
    adapter = replace(STACK, rank=2, modules=(ModuleShape("q", 3000, 2100, 0, 0), ModuleShape("z", 1, 1, 40, 40)))
    low = {n: np.full_like(t, -(2**15)) for n, t in build(adapter, 1).items()}
    high = {n: np.full_like(t, 2**15 - 1) for n, t in low.items()}
    opposite = {n: high[n] if n.endswith("A") else low[n] for n in low}
    assert compute_copied_index(adapter, [low], high) == 0  # both products are of one sign
    assert compute_copied_index(adapter, [low], opposite) is None
