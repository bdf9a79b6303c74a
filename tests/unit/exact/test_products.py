"""Inner products of what updates change, without building a product."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from flockchain.exact import compute_gram, compute_inner_product
from flockchain.exact.adapter_file import Tensors

LOWEST = -(2**15)


def build(seed: int, rank: int, columns: int, rows: int) -> Tensors:
    rng = np.random.default_rng(seed)
    return {
        "q.lora_A": rng.integers(LOWEST, 2**15, (rank, columns)).astype(np.int16),
        "q.lora_B": rng.integers(LOWEST, 2**15, (rows, rank)).astype(np.int16),
    }


def multiply(update: Tensors) -> NDArray[np.object_]:
    result: NDArray[np.object_] = update["q.lora_B"].astype(object) @ update["q.lora_A"].astype(object)
    return result


@pytest.mark.parametrize(("rank", "columns", "rows"), [(1, 1, 1), (3, 7, 5), (4, 2, 3), (2, 2050, 4097)])
def test_it_is_that_of_the_products_built_in_full(rank: int, columns: int, rows: int) -> None:
    left, right = build(1, rank, columns, min(rows, 50)), build(2, rank, columns, min(rows, 50))
    assert compute_inner_product(left, right, "q") == int((multiply(left) * multiply(right)).sum())
    tall, other = build(1, rank, 3, rows), build(2, rank, 3, rows)
    assert compute_inner_product(tall, other, "q") == int((multiply(tall) * multiply(other)).sum())


def test_without_a_it_is_that_of_b() -> None:
    left, right = ({"q.lora_B": build(seed, 3, 2, 40)["q.lora_B"]} for seed in (1, 2))
    wanted = int((left["q.lora_B"].astype(object) * right["q.lora_B"].astype(object)).sum())
    assert compute_inner_product(left, right, "q") == wanted


def test_extreme_values_do_not_overflow() -> None:
    """Every one of r² pairs of Gram entries is in · 2**30 times out · 2**30, far beyond 64 bits."""
    rank, columns, rows = 4, 1 << 16, 5000
    update = {
        "q.lora_A": np.full((rank, columns), LOWEST, np.int16),
        "q.lora_B": np.full((rows, rank), LOWEST, np.int16),
    }
    assert compute_gram(update["q.lora_A"], update["q.lora_A"]).tolist() == [[columns << 30] * rank] * rank
    assert compute_inner_product(update, update, "q") == rank**2 * (columns << 30) * (rows << 30)
    flat = {"q.lora_B": np.full((1025, 1024), LOWEST, np.int16)}
    assert compute_inner_product(flat, flat, "q") == (1025 * 1024) << 30


def test_the_layout_of_a_matrix_in_memory_does_not_matter() -> None:
    update = build(1, 4, 300, 200)
    turned = {name: np.asfortranarray(tensor) for name, tensor in update.items()}
    assert compute_inner_product(update, turned, "q") == compute_inner_product(update, update, "q")
