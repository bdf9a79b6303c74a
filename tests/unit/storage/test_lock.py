"""One process per data folder, however the last one ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flockchain.storage.disk import DiskFailed, FolderLocked
from flockchain.storage.level_store import LevelStore
from flockchain.storage.lock import DataFolderLock

ROOT = Path(__file__).parents[3]
HOLD = """
import sys
from pathlib import Path
from flockchain.storage.{module} import {name}
held = {name}(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def start_holder(path: Path, module: str, name: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(module=module, name=name), str(path)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize(("module", "kind"), [("lock", DataFolderLock), ("level_store", LevelStore)])
def test_a_folder_is_free_again_only_when_its_process_ends(
    tmp_path: Path, module: str, kind: type[DataFolderLock] | type[LevelStore]
) -> None:
    process = start_holder(tmp_path / "data", module, kind.__name__)
    try:
        for _ in range(2):
            with pytest.raises(FolderLocked, match=f"process={process.pid}"):
                kind(tmp_path / "data")
    finally:
        process.kill()
        process.wait()
    held = kind(tmp_path / "data")
    close = held.release if isinstance(held, DataFolderLock) else held.close
    close()


@pytest.mark.parametrize("kind", [DataFolderLock, LevelStore])
def test_a_second_holder_in_this_process_is_refused_and_takes_nothing_away(
    tmp_path: Path, kind: type[DataFolderLock] | type[LevelStore]
) -> None:
    held = kind(tmp_path / "data")
    with pytest.raises(FolderLocked):
        kind(tmp_path / "data")
    script = HOLD.format(module=kind.__module__.rpartition(".")[2], name=kind.__name__)
    other = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "data")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "FolderLocked" in other.stderr
    close = held.release if isinstance(held, DataFolderLock) else held.close
    close()
    close()
    kind(tmp_path / "data")


def test_a_lock_ends_with_its_block(tmp_path: Path) -> None:
    for _ in range(2):
        with DataFolderLock(tmp_path):
            pass


def test_a_folder_that_cannot_be_made_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskFailed):
        DataFolderLock(tmp_path / "file" / "data")
