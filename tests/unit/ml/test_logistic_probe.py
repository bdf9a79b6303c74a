"""Safe-FedLLM's probe: its feature, its score, its fit and its file."""

from __future__ import annotations

import hashlib
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.numbers import Hash
from flockchain_ml.probes import (
    FeatureInvalid,
    IntegerProbe,
    LogisticProbe,
    ProbeFileInvalid,
    ProbeInvalid,
    ProbeModule,
    compute_auc,
    compute_feature,
    compute_probe_digest,
    decode_probe,
    encode_probe,
    find_first_layer,
    read_probe,
    write_probe,
)
from flockchain_ml.probes.fitting import FitInvalid, FitSettings, fit_logistic_probe
from flockchain_ml.probes.reals import F64

MODULES = (ProbeModule("layers.0.down", 3, 2), ProbeModule("layers.0.q", 2, 2))
FLOAT32 = st.floats(-1e6, 1e6, width=32)


def build_probe(seed: int = 1) -> LogisticProbe:
    return LogisticProbe(MODULES, np.random.default_rng(seed).normal(size=10).astype(np.float32), 0.25)


def test_the_first_layer_is_the_one_with_the_lowest_number() -> None:
    llama = [f"model.layers.{at}.self_attn.{name}" for at in (10, 2, 0) for name in ("v_proj", "q_proj")]
    assert find_first_layer(llama) == ("model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj")
    assert find_first_layer(["transformer.h.1.attn.c_attn", "transformer.h.2.attn.c_attn"]) == (
        "transformer.h.1.attn.c_attn",
    )
    with pytest.raises(FeatureInvalid):
        find_first_layer(["lm_head"])


def test_a_feature_is_the_sorted_flattened_change_at_length_one() -> None:
    deltas = {
        "b": np.array([[0.0, 4.0]], np.float32),
        "a": np.array([[3.0], [0.0]], np.float32),
        "deeper": np.array([[9.0]], np.float32),
    }
    np.testing.assert_array_equal(compute_feature(deltas, ("b", "a")), np.array([0.6, 0, 0, 0.8], np.float32))
    scaled = {name: values * np.float32(2**-60) for name, values in deltas.items()}
    np.testing.assert_array_equal(compute_feature(scaled, ("a", "b")), np.array([0.6, 0, 0, 0.8], np.float32))
    assert not compute_feature({"a": np.zeros((2, 2), np.float32)}, ("a",)).any()
    with pytest.raises(FeatureInvalid):
        compute_feature(deltas, ("a", "c"))
    with pytest.raises(FeatureInvalid):
        compute_feature({"a": np.array([[np.nan]], np.float32)}, ("a",))


def test_a_score_is_the_sigmoid_of_the_weighed_feature() -> None:
    probe = LogisticProbe((ProbeModule("layers.0.q", 1, 2),), np.array([2, -1], np.float32), 0.5)
    deltas = {"layers.0.q": np.array([[0.3, 0.4]], np.float32)}  # direction .6, .8
    assert probe.compute_score(deltas) == pytest.approx(1 / (1 + math.exp(-(1.2 - 0.8 + 0.5))), abs=1e-6)
    with pytest.raises(FeatureInvalid):
        probe.compute_score({"layers.0.q": np.zeros((2, 2), np.float32)})
    with pytest.raises(FeatureInvalid):
        probe.compute_score({})


def build_examples(count: int, seed: int) -> tuple[list[np.ndarray], list[bool]]:
    """Two clouds of directions a little apart, as training on two corpora gives."""
    rng, shift = np.random.default_rng(seed), np.linspace(-1, 1, 10)
    labels = [index % 3 == 0 for index in range(count)]
    raw = [rng.normal(size=10) + (1.5 if label else -1.5) * shift for label in labels]
    return [(row / np.linalg.norm(row)).astype(np.float32) for row in raw], labels


def test_the_fit_separates_what_can_be_separated_and_repeats_bit_by_bit() -> None:
    probe = fit_logistic_probe(MODULES, *build_examples(400, 1))
    assert encode_probe(fit_logistic_probe(MODULES, *build_examples(400, 1))) == encode_probe(probe)
    features, labels = build_examples(200, 2)
    assert compute_auc([probe.score_feature(feature) for feature in features], labels) > 0.97


def test_the_fits_constants_are_the_papers() -> None:
    constants = FitSettings()
    assert (constants.learning_rate, constants.weight_decay, constants.epochs_max) == (0.01, 2.0, 100)
    assert build_probe().threshold == 0.8


def test_weight_decay_bounds_the_weights() -> None:
    probe = fit_logistic_probe(MODULES, *build_examples(400, 1))
    assert np.abs(probe.weights).max() <= 1 / FitSettings().weight_decay + 0.02  # a step of .01 against 2 % of itself


def test_a_fit_without_both_kinds_is_refused() -> None:
    features, _ = build_examples(10, 1)
    for labels in ([True] * 10, [False] * 10, [True, False]):
        with pytest.raises(FitInvalid):
            fit_logistic_probe(MODULES, features, labels)


@given(weights=st.lists(FLOAT32, min_size=10, max_size=10), bias=st.floats(-100, 100), threshold=st.floats(0.01, 0.99))
@settings(max_examples=50)
def test_a_logistic_probe_survives_its_file_with_one_encoding(
    weights: list[float], bias: float, threshold: float
) -> None:
    probe = LogisticProbe(MODULES, np.array(weights, np.float32), bias, threshold)
    data = encode_probe(probe)
    found = decode_probe(data)
    assert isinstance(found, LogisticProbe)
    assert encode_probe(found) == data
    np.testing.assert_array_equal(found.weights, probe.weights)
    assert (found.modules, found.bias, found.threshold) == (probe.modules, probe.bias, probe.threshold)


def test_a_file_is_read_back_and_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "step.probe"
    probe = IntegerProbe(("agreement", "nearness"), (-5, 9), 3, 4)
    digest = write_probe(path, probe)
    assert read_probe(path, digest) == probe
    assert digest == compute_probe_digest(probe) == hashlib.sha256(path.read_bytes()[:-32]).digest()
    with pytest.raises(ProbeFileInvalid):
        read_probe(path, Hash(b"\x01" * 32))


@given(at=st.integers(0, 10_000), flip=st.integers(1, 255), probe=st.sampled_from([0, 1]))
@settings(max_examples=150)
def test_a_damaged_file_is_refused(at: int, flip: int, probe: int) -> None:
    data = bytearray(encode_probe([build_probe(), IntegerProbe(("agreement",), (1,), 0, 0)][probe]))
    data[at % len(data)] ^= flip
    with pytest.raises(ProbeFileInvalid):
        decode_probe(bytes(data))


@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
@settings(max_examples=150)
def test_a_file_that_was_changed_and_signed_off_again_is_canonical_or_refused(at: int, flip: int) -> None:
    body = bytearray(encode_probe(build_probe())[:-32])
    body[at % len(body)] ^= flip
    data = bytes(body) + hashlib.sha256(body).digest()
    try:
        found = decode_probe(data)
    except InvalidInput:
        return
    assert encode_probe(found) == data


@pytest.mark.parametrize("data", [b"", b"x" * 31, pickle.dumps({"weights": [1, 2]}), b"FLOCKCHAIN/probe/v1\0" * 3])
def test_what_is_no_probes_file_is_refused(data: bytes) -> None:
    with pytest.raises(ProbeFileInvalid):
        decode_probe(data)
    with pytest.raises(InvalidInput):
        decode_probe(data + hashlib.sha256(data).digest())


def test_cut_and_padded_files_are_refused() -> None:
    data = encode_probe(build_probe())
    for wrong in (data[:-1], data[1:], data + b"\0", data[:40]):
        with pytest.raises(ProbeFileInvalid):
            decode_probe(wrong)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_has_no_encoding(value: float) -> None:
    with pytest.raises(InvalidInput):
        F64.encode(value)
    with pytest.raises(InvalidInput):
        F64.decode(np.array([value], ">f8").tobytes())
    assert F64.encode(-0.0) == F64.encode(0.0)
    with pytest.raises(InvalidInput):
        F64.decode(b"\x80" + b"\0" * 7)


def test_a_probe_that_contradicts_itself_is_refused() -> None:
    weights = np.zeros(10, np.float32)
    for modules, values, threshold in (
        ((), weights, 0.8),
        (MODULES[::-1], weights, 0.8),
        (MODULES, weights[:9], 0.8),
        (MODULES, weights + np.float32(np.nan), 0.8),
        (MODULES, weights, 1.0),
    ):
        with pytest.raises(ProbeInvalid):
            LogisticProbe(modules, values, 0.0, threshold)
