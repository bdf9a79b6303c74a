"""The recorded chain gives the same roots, events and receipts wherever it is executed.

A root that changes here forks every chain that runs. If that is meant: python -m tools.chain_vector.record
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from flockchain.crypto.bls import get_default_backend
from flockchain.primitives.block import BLOCK, Block
from flockchain.primitives.evidence import EVIDENCE, ScoreEvidence, VoteEvidence
from flockchain.primitives.extrinsic import SIGNED_EXTRINSIC
from flockchain.runtime.flock import build_runtime
from flockchain.runtime.genesis import load_genesis
from tools.chain_vector.replay import FOLDER, replay

ROOT = Path(__file__).parents[2]
FINAL_STATE_ROOT = "622352cdcff1c11b93894ba20b9367162c10c5680c1047399665e32a987bc501"
_NEEDED = "import py_ecc, py_arkworks_bls12381, nacl, numpy, tomli_w"


@cache
def load_recorded() -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((FOLDER / "blocks.json").read_text())
    for block in recorded["blocks"]:
        del block["certificate"], block["block"]
    return recorded


@cache
def load_blocks() -> tuple[Block, ...]:
    document = json.loads((FOLDER / "blocks.json").read_text())
    return tuple(BLOCK.decode(bytes.fromhex(block["block"])) for block in document["blocks"])


def replay_elsewhere(*options: str, python: str = sys.executable, hash_seed: str = "random") -> dict[str, Any]:
    """The answer of another process."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [python, "-m", "tools.chain_vector.replay", *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def find_other_python() -> str | None:
    """Another version of the interpreter with what the chain needs."""
    names = [os.environ.get("FLOCKCHAIN_OTHER_PYTHON", ""), "python3.12", "python3.11"]
    for name in names:
        path = shutil.which(name) if name else None
        if path is None:
            continue
        check = f"import sys; {_NEEDED}; print('%d.%d' % sys.version_info[:2])"
        found = subprocess.run([path, "-c", check], capture_output=True, text=True, check=False, cwd=ROOT)
        if found.returncode == 0 and found.stdout.strip() != f"{sys.version_info[0]}.{sys.version_info[1]}":
            return path
    return None


def test_the_last_state_root_is_the_one_that_is_written_here() -> None:
    blocks = load_recorded()["blocks"]
    assert len(blocks) == 40
    assert blocks[-1]["state_root"] == FINAL_STATE_ROOT


def test_replay_gives_what_was_recorded_with_a_tree_that_grew_and_one_built_anew() -> None:
    assert replay(get_default_backend(), rebuild=True, certificates=True) == load_recorded()


@pytest.mark.parametrize("hash_seed", ["0", "1", "random"])
def test_replay_does_not_depend_on_the_seed_of_hashes(hash_seed: str) -> None:
    assert replay_elsewhere(hash_seed=hash_seed) == load_recorded()


def test_replay_does_not_depend_on_optimisation() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-OO", "-m", "tools.chain_vector.replay"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == load_recorded()


def test_replay_does_not_depend_on_the_version_of_the_interpreter() -> None:
    other = find_other_python()
    if other is None:
        pytest.skip("no other Python with the chain's dependencies: set FLOCKCHAIN_OTHER_PYTHON to one")
    assert replay_elsewhere(python=other) == load_recorded()


@pytest.mark.slow
def test_replay_does_not_depend_on_the_library_of_signatures() -> None:
    assert replay_elsewhere("--bls", "py-ecc") == load_recorded()


def test_everything_that_a_block_can_hold_is_in_the_recording() -> None:
    runtime = build_runtime(load_genesis((FOLDER / "genesis.toml").read_bytes()), get_default_backend())
    payloads = [SIGNED_EXTRINSIC.decode(raw).payload for block in load_blocks() for raw in block.extrinsics]
    made = {(payload.call.pallet, payload.call.call) for payload in payloads}
    assert made == {(pallet.index, call.index) for pallet in runtime.pallets for call in pallet.calls}
    items = {type(item) for block in load_blocks() for item in block.learning}
    assert items == set(runtime.items)
    evidence = {type(EVIDENCE.decode(raw)) for block in load_blocks() for raw in block.evidence}
    assert evidence == {VoteEvidence, ScoreEvidence}
    assert len({block.header.epoch for block in load_blocks()}) > 5
