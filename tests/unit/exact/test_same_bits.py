"""The aggregate in fresh processes: other thread counts, hash seeds, orders and interpreters give the same bits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import hashlib, sys
import numpy as np
from flockchain.exact import compute_aggregate, encode_update
from flockchain.primitives.learning import AdapterMode, AdapterSpec, ModuleShape
from flockchain.primitives.numbers import Hash

def build(mode, seed):
    modules = ModuleShape("a", 20_000, 30, 14, 12), ModuleShape("b", 7, 900, 14, 12)
    spec = AdapterSpec(4, 8, mode, Hash(bytes(32)), modules)
    tensors = {}
    for at, m in enumerate(spec.modules):
        if mode is AdapterMode.STACK:
            tensors[m.name + ".lora_A"] = fill((4, m.in_features), 2 * at + 10 * seed)
        tensors[m.name + ".lora_B"] = fill((m.out_features, 4), 2 * at + 1 + 10 * seed)
    return spec, encode_update(tensors, spec)

def fill(shape, seed):
    steps = np.arange(shape[0] * shape[1], dtype=np.uint64) * np.uint64(6364136223846793005) + np.uint64(seed)
    return (steps >> np.uint64(48)).astype(np.uint16).astype(np.int16).reshape(shape)

for mode in AdapterMode:
    made = [build(mode, seed) for seed in range(5)]
    spec, updates = made[0][0], [update for _, update in made]
    updates = updates[int(sys.argv[1]) :] + updates[: int(sys.argv[1])]
    first = compute_aggregate(spec, None, updates)
    print(mode.name, hashlib.sha256(first).hexdigest())
    if mode is AdapterMode.FFA:
        print(mode.name, hashlib.sha256(compute_aggregate(spec, first, updates)).hexdigest())
"""


def run(python: str, turn: int = 0, **environment: str) -> str:
    path = str(ROOT)
    result = subprocess.run(
        [python, "-c", PROGRAM, str(turn)], cwd=ROOT, env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


@cache
def run_here() -> str:
    return run(sys.executable, OMP_NUM_THREADS="1", PYTHONHASHSEED="0")


def find_other_python() -> str | None:
    """An interpreter of another version that has numpy."""
    for minor in (12, 13, 14, 11):
        found = shutil.which(f"python3.{minor}")
        if found is None or minor == sys.version_info.minor:
            continue
        if subprocess.run([found, "-c", "import numpy"], capture_output=True, check=False).returncode == 0:
            return found
    return None


@pytest.mark.parametrize(("threads", "hash_seed"), [("1", "1"), ("2", "12345"), ("5", "random")])
def test_threads_and_hash_seeds_change_nothing(threads: str, hash_seed: str) -> None:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    assert run(sys.executable, PYTHONHASHSEED=hash_seed, **dict.fromkeys(names, threads)) == run_here()


def test_optimised_bytecode_and_no_vector_instructions_change_nothing() -> None:
    plain = "AVX2 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V3 X86_V4"
    assert run(sys.executable, PYTHONOPTIMIZE="2", NPY_DISABLE_CPU_FEATURES=plain) == run_here()


@pytest.mark.parametrize("turn", [1, 3])
def test_another_order_changes_nothing(turn: int) -> None:
    assert run(sys.executable, turn) == run_here()


def test_two_sets_differ() -> None:
    assert len({*run_here().split()} - {"FFA", "STACK"}) == 3


def test_another_interpreter_gives_the_same_bits() -> None:
    other = find_other_python()
    if other is None:
        pytest.skip("no other Python with numpy is installed here")
    assert run(other) == run_here()
