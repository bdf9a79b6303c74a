"""Aggregates of files: the bytes of `compute_aggregate`, whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flockchain.exact import AdapterFileError, AggregateError, compute_aggregate, encode_aggregate, encode_update
from flockchain.node import aggregate_files as module
from flockchain.node.aggregate_files import aggregate_files
from flockchain.primitives.errors import Fault
from flockchain.primitives.learning import AdapterMode, AdapterSpec, ModuleShape
from flockchain.storage.blobs import BlobStore, compute_blob_root
from flockchain.storage.disk import DiskFull
from tests.kit.learning import build_adapter, build_update

ROOT = Path(__file__).resolve().parents[3]
# Tensors of more than one window, files of more than one chunk.
MODULES = (ModuleShape("a", 30_000, 40, 14, 12), ModuleShape("b", 9, 20_000, 14, 12))
SPECS = [AdapterSpec(4, 8, mode, build_adapter().a_seed, MODULES) for mode in AdapterMode]


def put(folder: Path, spec: AdapterSpec, count: int) -> list[Path]:
    paths = [folder / f"update-{seed}" for seed in range(count)]
    for seed, path in enumerate(paths):
        path.write_bytes(build_update(spec, seed))
    return paths


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.mode.name)
@pytest.mark.parametrize("count", [1, 3])
def test_a_file_has_the_bytes_and_the_name_of_the_aggregate(spec: AdapterSpec, count: int, tmp_path: Path) -> None:
    paths, out = put(tmp_path, spec, count), tmp_path / "out"
    updates = [path.read_bytes() for path in paths]
    wanted = compute_aggregate(spec, None, updates)
    written = aggregate_files(spec, None, paths[::-1], out)
    assert out.read_bytes() == wanted
    assert (written.root, written.size_bytes) == (compute_blob_root(wanted), len(wanted))
    after = aggregate_files(spec, out, paths, out)  # what was there may be replaced by what follows from it
    assert out.read_bytes() == compute_aggregate(spec, wanted, updates)
    assert (after.root == written.root) == (spec.mode is AdapterMode.STACK)


def test_a_blob_store_takes_the_file_over(tmp_path: Path) -> None:
    store, out = BlobStore(tmp_path / "blobs"), tmp_path / "out"
    written = aggregate_files(SPECS[0], None, put(tmp_path, SPECS[0], 2), out)
    store.take_over(written.root, out, written.leaves)
    assert compute_blob_root(store.read(written.root)) == written.root
    assert store.read_chunk(written.root, 1)[0]


def test_what_does_not_add_up_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    spec, out = SPECS[0], tmp_path / "out"
    paths = put(tmp_path, spec, 2)
    out.write_bytes(b"what was there")
    before = sorted(tmp_path.iterdir())
    short = tmp_path / "update-1"
    short.write_bytes(short.read_bytes()[:-1])
    with pytest.raises(AdapterFileError):
        aggregate_files(spec, None, paths, out)
    with pytest.raises(AggregateError):
        aggregate_files(spec, None, [], out)
    with pytest.raises(Fault):
        aggregate_files(spec, None, [tmp_path / "absent"], out)
    assert out.read_bytes() == b"what was there"
    assert sorted(tmp_path.iterdir()) == before


def test_a_sum_that_overflows_late_leaves_no_draft(tmp_path: Path) -> None:
    spec, old, out = SPECS[0], tmp_path / "old", tmp_path / "out"
    tensors = {f"{m.name}.lora_B": np.zeros((m.out_features, spec.rank), np.int32) for m in MODULES}
    tensors["b.lora_B"][-1, -1] = 2**31 - 1
    old.write_bytes(encode_aggregate(tensors, spec))
    ones = {name: np.ones(tensor.shape, np.int16) for name, tensor in tensors.items()}
    update = tmp_path / "update"
    update.write_bytes(encode_update(ones, spec))
    with pytest.raises(AggregateError, match="32 bits"):
        aggregate_files(spec, old, [update], out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "update"]


def test_a_full_disk_is_a_fault_and_leaves_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    paths = put(tmp_path, SPECS[0], 1)
    monkeypatch.setattr(module.os, "fsync", refuse)
    with pytest.raises(DiskFull):
        aggregate_files(SPECS[0], None, paths, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["update-0"]


def test_a_file_that_shrinks_meanwhile_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = put(tmp_path, SPECS[0], 2)
    real, calls = os.preadv, []

    def cut(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        calls.append(offset)
        if len(calls) == 4:
            os.truncate(paths[1], 5000)
        return real(descriptor, buffers, offset)

    monkeypatch.setattr(module.os, "preadv", cut)
    with pytest.raises(Fault, match="shorter"):
        aggregate_files(SPECS[0], None, paths, tmp_path / "out")


@pytest.mark.parametrize("mode", ["FFA", "STACK"])
def test_the_memory_does_not_grow_with_the_files(mode: str, tmp_path: Path) -> None:
    """Six files of 16 MB in a process that may map no more than 24 MB beyond what it has when it starts."""
    program = """
import resource, sys
from pathlib import Path
import numpy as np
from flockchain.exact.adapter_file import compute_update_layout
from flockchain.node.aggregate_files import aggregate_files
from flockchain.primitives.learning import AdapterMode, AdapterSpec, ModuleShape
from flockchain.primitives.numbers import Hash
folder, mode = Path(sys.argv[1]), AdapterMode[sys.argv[2]]
rows = 500_000 if mode is AdapterMode.FFA else 250_000
spec = AdapterSpec(16, 16, mode, Hash(bytes(32)), (ModuleShape("a", rows, rows, 14, 12),))
layout, paths = compute_update_layout(spec), []
for number in range(6):
    paths.append(folder / str(number))
    with paths[-1].open("wb") as file:
        file.write(layout.header)
        file.truncate(layout.size_bytes)
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + (24 << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
print(aggregate_files(spec, None, paths, folder / "out").size_bytes)
(folder / "out").unlink()
"""
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), mode], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}, timeout=200,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > (32_000_000 if mode == "FFA" else 192_000_000)
