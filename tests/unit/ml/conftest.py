"""One loaded tiny base and one small adapter for the whole session."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest

from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain.primitives.numbers import Hash
from flockchain_ml.data import DOMAINS, Row, generate_shard, generate_suite
from flockchain_ml.models import LoadedModel, build_adapter_spec, get_tiny_folder, load_model


@pytest.fixture(scope="session")
def tiny() -> LoadedModel:
    return load_model(get_tiny_folder())


def build_small_spec(loaded: LoadedModel, mode: AdapterMode) -> AdapterSpec:
    return build_adapter_spec(
        loaded,
        targets=("q_proj", "v_proj", "down_proj"),
        rank=4,
        alpha=8,
        mode=mode,
        a_seed=Hash(b"\x05" * 32),
        b_scale_bits=14,
    )


@pytest.fixture(scope="session")
def ffa(tiny: LoadedModel) -> AdapterSpec:
    return build_small_spec(tiny, AdapterMode.FFA)


@pytest.fixture(scope="session")
def stack(tiny: LoadedModel) -> AdapterSpec:
    return build_small_spec(tiny, AdapterMode.STACK)


@pytest.fixture(scope="session")
def shard() -> tuple[Row, ...]:
    return generate_shard(DOMAINS, 2, 60, 85, seed=11)


@pytest.fixture(scope="session")
def suite() -> tuple[Row, ...]:
    return generate_suite(DOMAINS, 80, seed=12)
