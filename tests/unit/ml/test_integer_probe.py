"""The integer probe: exact statistics against independent arithmetic, and the same verdicts everywhere."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.exact import compute_inner_product
from flockchain_ml.defences import SUSPECT_WEIGHT, AdvisoryProbe, RoundView, Submission, ViewInvalid, find_suspects
from flockchain_ml.probes import (
    PARTS,
    PROBES,
    Concentration,
    IntegerProbe,
    IntegerTensors,
    LogNorm,
    Nearness,
    Over,
    ProbeInvalid,
    compute_log2,
    compute_probe_digest,
    compute_statistics_table,
)
from flockchain_ml.probes.fitting import fit_integer_probe
from flockchain_ml.probes.integer_probe import MARGIN_ABS_MAX, STATISTIC_ABS_MAX, STATISTICS_MAX, WEIGHT_ABS_MAX
from flockchain_ml.probes.products import compute_squared_norm, compute_traces
from flockchain_ml.probes.versions import LATEST, VERSIONS

INT16 = st.integers(-32768, 32767)


def build_round(seed: int, count: int = 6, has_a: bool = False) -> list[IntegerTensors]:
    rng = np.random.default_rng(seed)
    shapes = {"layers.0.q.lora_B": (24, 4), "layers.1.q.lora_B": (40, 4)}
    if has_a:
        shapes |= {"layers.0.q.lora_A": (4, 16), "layers.1.q.lora_A": (4, 12)}
    return [
        {name: rng.integers(-3000, 3001, shape).astype(np.int16) for name, shape in shapes.items()}
        for _ in range(count)
    ]


def boost(update: IntegerTensors, factor: int) -> IntegerTensors:
    return {name: values * np.int16(factor) for name, values in update.items()}


@given(value=st.integers(1, 1 << 200))
def test_a_logarithm_is_right_to_its_last_digit(value: int) -> None:
    found = Fraction(compute_log2(value), PARTS)
    assert abs(float(found) - math.log2(value)) <= 1.001 / PARTS
    assert float(found) <= math.log2(value) + 1e-9


@pytest.mark.parametrize("has_a", [False, True])
@given(seed=st.integers(0, 999))
@settings(max_examples=30)
def test_products_are_those_of_the_whole_matrices(seed: int, has_a: bool) -> None:
    left, right = build_round(seed, 2, has_a)
    module = "layers.0.q"

    def build_whole(update: IntegerTensors) -> np.ndarray:
        b = update[f"{module}.lora_B"].astype(object)
        return b @ update[f"{module}.lora_A"].astype(object) if has_a else b

    one, other = build_whole(left), build_whole(right)
    assert compute_inner_product(left, right, module) == int((one * other).sum())
    assert compute_squared_norm(left, module) == int((one * one).sum())
    gram = one.T @ one
    assert compute_traces(left, module) == (int(gram.trace()), int((gram @ gram).trace()))


def test_the_largest_values_of_the_wire_stay_exact() -> None:
    update = {"m.lora_A": np.full((3, 500), -32768, np.int16), "m.lora_B": np.full((700, 3), -32768, np.int16)}
    entry = 3 * 2**30
    assert compute_squared_norm(update, "m") == entry**2 * 700 * 500
    trace, trace_of_square = compute_traces(update, "m")
    assert trace_of_square == trace * trace  # one direction only
    assert Concentration().compute_statistics([update]) == (PARTS,)


def test_concentration_counts_directions() -> None:
    even = {"m.lora_B": np.diag([500, 500, 500, 500]).astype(np.int16)}
    single = {"m.lora_B": np.diag([500, 0, 0, 0]).astype(np.int16)}
    uneven = {"m.lora_B": np.diag([200, 100, 0, 0]).astype(np.int16)}  # (16 + 1) / (4 + 1)²
    assert Concentration().compute_statistics([even, single, uneven]) == (PARTS // 4, PARTS, PARTS * 17 // 25)


def test_log_norms_count_doublings_from_the_rounds_median() -> None:
    shape = (8, 2)
    sizes = [100, 200, 400, 200, 200]
    updates = [{f"layers.{at}.lora_B": np.full(shape, size, np.int16) for at in range(2)} for size in sizes]
    updates[4]["layers.1.lora_B"] = np.full(shape, 800, np.int16)
    assert LogNorm(Over.HIGHEST).compute_statistics(updates) == (-PARTS, 0, PARTS, 0, 2 * PARTS)
    assert LogNorm(Over.LOWEST).compute_statistics(updates) == (-PARTS, 0, PARTS, 0, 0)
    assert LogNorm(Over.MEAN).compute_statistics(updates) == (-PARTS, 0, PARTS, 0, PARTS)


def test_moving_a_factor_from_b_to_a_hides_no_norm() -> None:
    first, *others = build_round(1, 4, has_a=True)
    moved = {name: values * np.int16(3) if name.endswith("A") else values for name, values in first.items()}
    grown = {name: values * np.int16(3) if name.endswith("B") else values for name, values in first.items()}
    for over in Over:
        probe = LogNorm(over)
        assert probe.compute_statistics([moved, *others]) == probe.compute_statistics([grown, *others])


def test_nearness_finds_the_accomplice() -> None:
    rows = build_round(5, 5)
    noise = build_round(6, 1)[0]
    rows[4] = {name: (rows[1][name] + noise[name] // 4).astype(np.int16) for name in noise}
    found = Nearness().compute_statistics(rows)
    assert found[1] == found[4] > 900
    assert all(abs(found[at]) < 400 for at in (0, 2, 3))


@pytest.mark.parametrize("has_a", [False, True])
def test_every_statistic_is_the_same_in_other_threads_and_processes(has_a: bool) -> None:
    updates = build_round(9, 7, has_a)
    expected = compute_statistics_table(updates, tuple(PROBES))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: compute_statistics_table(updates, tuple(PROBES)), range(8)))
    assert found == [expected] * 8
    code = (
        "from tests.unit.ml.test_integer_probe import build_round\n"
        "from flockchain_ml.probes import PROBES, compute_statistics_table\n"
        f"print(compute_statistics_table(build_round(9, 7, {has_a}), tuple(PROBES)))"
    )
    root = Path(__file__).parents[3]
    for threads, hashing in (("1", "0"), ("2", "12345")):
        environment = os.environ | {
            "PYTHONPATH": f"{root}{os.pathsep}{root / 'ml'}", "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads, "PYTHONHASHSEED": hashing,
        }  # fmt: skip
        run = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=root, capture_output=True, text=True, check=True,
            timeout=120,
        )  # fmt: skip
        assert run.stdout.strip() == repr(expected)


def test_a_margin_is_the_weighed_sum_and_the_threshold_decides() -> None:
    probe = IntegerProbe(("relative-norm", "agreement"), (3 << 16, -(1 << 16)), bias=-7, threshold=10)
    assert probe.judge_statistics((5, 2)).margin == (3 << 16) * 5 - (1 << 16) * 2 - 17
    exact = replace(probe, threshold=(3 << 16) * 5 - (1 << 16) * 2 - 7)
    assert exact.judge_statistics((5, 2)).is_suspect
    assert not replace(exact, threshold=exact.threshold + 1).judge_statistics((5, 2)).is_suspect


def test_the_widest_probe_stays_within_64_bits() -> None:
    names = tuple(PROBES)
    largest = STATISTICS_MAX * STATISTIC_ABS_MAX * WEIGHT_ABS_MAX + 2 * MARGIN_ABS_MAX
    assert largest < 2**64
    probe = IntegerProbe(names, (WEIGHT_ABS_MAX,) * len(names), 0, 0)
    assert probe.judge_statistics((10**30,) * len(names)).margin == len(names) * STATISTIC_ABS_MAX * WEIGHT_ABS_MAX


@pytest.mark.parametrize(
    "changes",
    [
        {"statistics": ()},
        {"statistics": ("no-such",)},
        {"statistics": ("agreement", "agreement"), "weights": (1, 1)},
        {"weights": (1, 2)},
        {"weights": (WEIGHT_ABS_MAX + 1,)},
        {"bias": MARGIN_ABS_MAX + 1},
        {"threshold": -MARGIN_ABS_MAX - 1},
    ],
)
def test_a_probe_that_contradicts_itself_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ProbeInvalid):
        replace(IntegerProbe(("agreement",), (1,), 0, 0), **changes)


def test_the_fitted_integer_model_tells_boosted_updates_apart_in_rounds_that_it_never_saw() -> None:
    def build_examples(seeds: range) -> tuple[list[tuple[int, ...]], list[bool]]:
        rows: list[tuple[int, ...]] = []
        labels: list[bool] = []
        for seed in seeds:
            updates = build_round(seed, 8)
            updates[6:] = [boost(update, 4) for update in updates[6:]]
            rows += compute_statistics_table(updates, tuple(PROBES))
            labels += [False] * 6 + [True] * 2
        return rows, labels

    probe = fit_integer_probe(tuple(PROBES), *build_examples(range(12)))
    assert all(type(value) is int for value in (*probe.weights, probe.bias, probe.threshold))
    assert compute_probe_digest(probe) == compute_probe_digest(
        fit_integer_probe(tuple(PROBES), *build_examples(range(12)))
    )
    rows, labels = build_examples(range(100, 110))
    verdicts = [probe.judge_statistics(row).is_suspect for row in rows]
    assert all(verdict for verdict, label in zip(verdicts, labels, strict=True) if label)
    assert sum(verdict for verdict, label in zip(verdicts, labels, strict=True) if not label) <= 0.15 * len(labels)


def test_a_suspect_is_looked_at_and_counts_less_and_is_never_vetoed() -> None:
    updates = build_round(3, 6)
    updates[4] = boost(updates[4], 8)
    probe = IntegerProbe(("log-norm-highest",), (1 << 16,), 0, 2 * PARTS << 16)
    view = RoundView(0, tuple(Submission(bytes([1 + at]), tensors=update) for at, update in enumerate(updates)))
    assert find_suspects(probe, view) == {4}
    defence = AdvisoryProbe(probe)
    weights, _ = defence.weigh(view, defence.get_initial())
    assert weights == (1.0, 1.0, 1.0, 1.0, SUSPECT_WEIGHT, 1.0)
    assert SUSPECT_WEIGHT > 0
    everybody = AdvisoryProbe(replace(probe, threshold=-MARGIN_ABS_MAX))
    assert set(everybody.weigh(view, everybody.get_initial())[0]) == {SUSPECT_WEIGHT}  # the same as nobody
    with pytest.raises(ViewInvalid):
        defence.weigh(RoundView(0, (Submission(b"x"),)), defence.get_initial())


def test_shipped_versions_are_known_by_their_digests() -> None:
    assert VERSIONS[compute_probe_digest(LATEST)] is LATEST
    assert {digest.hex() for digest in VERSIONS} == {"4e1d5f6666c8d4898691f5f870f8ce44fe6f223f76e35ddb62215a2bc32e5c98"}
    assert all(compute_probe_digest(probe) == digest for digest, probe in VERSIONS.items())
