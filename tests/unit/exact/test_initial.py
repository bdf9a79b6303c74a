"""The initial A: the same integers everywhere, and only from the seed."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from flockchain.exact import compute_a_scale_bits, compute_initial_a
from flockchain.primitives.learning import AdapterMode
from flockchain.primitives.numbers import Hash
from tests.kit.learning import build_adapter

ADAPTER = build_adapter(AdapterMode.STACK)


def test_the_stream_is_as_written_down() -> None:
    name = b"layers.0.down"
    blocks = [
        hashlib.sha256(
            b"FLOCKCHAIN/initial-a/v1\0" + ADAPTER.a_seed + (0).to_bytes(4, "big") + len(name).to_bytes(2, "big") + name
            + counter.to_bytes(8, "big")
        ).digest()
        for counter in range(2)
    ]  # fmt: skip
    values = [int.from_bytes(b"".join(blocks)[at : at + 2], "big", signed=True) for at in range(0, 40, 2)]
    drawn = compute_initial_a(ADAPTER)["layers.0.down.lora_A"]
    assert drawn.shape == (2, 10)
    assert drawn.reshape(-1).tolist() == values


def test_the_golden_digest_of_the_initial_adapter_does_not_change() -> None:
    tensors = compute_initial_a(ADAPTER)
    stream = b"".join(tensor.astype(">i2").tobytes() for tensor in tensors.values())
    assert list(tensors) == ["layers.0.down.lora_A", "layers.0.q.lora_A"]
    assert hashlib.sha256(stream).hexdigest() == "e15c317539d769086928d754e52c9c17a0f4308a661cab02d8736db61a68e54e"


def test_another_seed_round_or_name_gives_other_integers() -> None:
    first = compute_initial_a(ADAPTER)["layers.0.q.lora_A"]
    seed = compute_initial_a(replace(ADAPTER, a_seed=Hash(bytes(32))))["layers.0.q.lora_A"]
    later = compute_initial_a(ADAPTER, round=1)["layers.0.q.lora_A"]
    renamed = replace(ADAPTER, modules=(replace(ADAPTER.modules[1], name="layers.1.q"),))
    other = compute_initial_a(renamed)["layers.1.q.lora_A"]
    for tensor in (seed, later, other):
        assert (tensor != first).any()


def test_values_are_spread_over_the_whole_int16_range() -> None:
    wide = replace(ADAPTER, rank=64, modules=(replace(ADAPTER.modules[0], in_features=500),))
    values = compute_initial_a(wide)["layers.0.down.lora_A"].astype(np.int64)
    assert values.min() < -32_000
    assert values.max() > 32_000
    assert abs(int(values.mean())) < 400


@pytest.mark.parametrize(("in_features", "bits"), [(1, 15), (16, 17), (96, 18), (4096, 21)])
def test_the_scale_makes_a_start_of_about_one_over_the_root_of_the_inputs(in_features: int, bits: int) -> None:
    assert compute_a_scale_bits(in_features) == bits
    bound = 2.0 ** (15 - bits)
    assert 0.5 <= bound * in_features**0.5 <= 2.0
