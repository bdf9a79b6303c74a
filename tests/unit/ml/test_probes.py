"""Probes: integers, coordinate-free, advisory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain_ml.probes import PARTS, PROBES, Agreement, Probe, RelativeNorm

VALUES = st.lists(st.integers(-32768, 32767), min_size=6, max_size=6)


def build_updates(rows: list[list[int]]) -> list[dict[str, np.ndarray]]:
    return [{"m.lora_B": np.array(row, np.int16).reshape(3, 2)} for row in rows]


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
@given(rows=st.lists(VALUES, min_size=2, max_size=6), seed=st.integers(0, 99))
@settings(max_examples=60)
def test_a_probe_does_not_depend_on_coordinates_or_on_the_order_of_updates(
    probe: Probe, rows: list[list[int]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    updates = build_updates(rows)
    found = probe.compute_statistics(updates)
    assert all(type(value) is int for value in found)
    outputs, columns, signs = rng.permutation(3), rng.permutation(2), rng.choice([-1, 1], (3, 1))
    moved = [{"m.lora_B": update["m.lora_B"].astype(np.int64)[outputs][:, columns] * signs} for update in updates]
    assert probe.compute_statistics(moved) == found
    order = rng.permutation(len(rows))
    assert probe.compute_statistics([updates[i] for i in order]) == tuple(found[i] for i in order)


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_a_probe_takes_empty_rounds_and_zero_updates(probe: Probe) -> None:
    assert probe.compute_statistics([]) == ()
    assert len(probe.compute_statistics(build_updates([[0] * 6]))) == 1
    assert PROBES[probe.name] is probe


def test_a_boosted_update_has_a_large_relative_norm() -> None:
    rows = [[100, 0, 0, 50, 0, 7], [90, 10, 0, 50, 5, 0], [300, 0, 0, 150, 0, 21]]
    found = RelativeNorm().compute_statistics(build_updates(rows))
    assert found[2] == pytest.approx(3 * PARTS, rel=0.1)
    assert found[0] == pytest.approx(PARTS, rel=0.1)


def test_an_opposite_update_disagrees() -> None:
    rows = [[100, 20, 0, 0, 0, 0], [100, 0, 20, 0, 0, 0], [-100, -20, 0, 0, 0, 0]]
    first, second, opposite = Agreement().compute_statistics(build_updates(rows))
    assert opposite < -900
    assert second > first or second > 0
