"""`flockchain sim run`: what it prints, how it ends, and that Ctrl-C ends it at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flockchain.cli.app import run
from flockchain.cli.exit_codes import ExitCode
from flockchain.sim import swarm
from flockchain.sim.profiles import PROFILES
from flockchain.sim.world import WorldReport

BROKEN = WorldReport(4, ("agreement: two blocks at height 7",), "ab" * 32, (8, 9, 9, 9), {"crash": 1}, ())
WHOLE = WorldReport(5, (), "cd" * 32, (12, 12, 12, 12), {"crash": 2, "offence": 1}, ())


def test_the_json_has_what_scripts_rely_on_in_the_order_of_the_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sim", "run", "--seeds", "3..4", "--profile", "calm", "--output", "json"]) == ExitCode.OK
    first = json.loads(capsys.readouterr().out)
    assert first["seeds"] == [3, 4]
    assert first["violations"] == []
    assert len(set(first["trace_hashes"])) == 2
    assert all(height > 0 for height in first["finalized_heights"])
    assert first["marks"]["extrinsic"] > 0
    assert run(["sim", "run", "--seeds", "3..4", "--profile", "calm", "--output", "json", "--jobs", "2"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == first


def test_a_violation_is_told_with_its_replay_and_ends_in_its_own_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_swarm(*arguments: object) -> Iterator[WorldReport]:
        yield from (BROKEN, WHOLE)

    monkeypatch.setattr(swarm, "run_swarm", run_swarm)
    assert run(["sim", "run", "--seeds", "4..5"]) == ExitCode.CHECK_FAILED
    told = capsys.readouterr()
    assert "seed 4: agreement: two blocks at height 7" in told.err
    assert "flockchain sim run --seeds 4 --profile swarm --crypto fast" in told.err
    assert "violations     1" in told.out
    assert run(["sim", "run", "--seeds", "4..5", "--output", "json"]) == ExitCode.CHECK_FAILED
    document = json.loads(capsys.readouterr().out)
    assert document["violations"] == [{"seed": 4, "violation": "agreement: two blocks at height 7"}]
    assert document["marks"] == {"crash": 3, "offence": 1}


def test_a_large_run_that_misses_what_it_is_for_ends_in_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    marks = dict.fromkeys(PROFILES["twins"].marks - {"offence", "pause"}, 1)
    reports = [WorldReport(seed, (), "ab" * 32, (9, 9), marks, (), "twins") for seed in range(200)]
    monkeypatch.setattr(swarm, "run_swarm", lambda *_: iter(reports))
    assert run(["sim", "run", "--seeds", "0..199", "--profile", "twins", "--output", "json"]) == ExitCode.CHECK_FAILED
    told = capsys.readouterr()
    assert json.loads(told.out)["missing_marks"] == ["twins: offence", "twins: pause"]
    assert "missing=twins: offence, twins: pause" in told.err
    assert told.err.count("\n") == 1
    monkeypatch.setattr(swarm, "run_swarm", lambda *_: iter(reports[:199]))
    assert run(["sim", "run", "--seeds", "0..198", "--profile", "twins", "--output", "json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["missing_marks"] == []


def test_a_story_is_written_for_one_seed_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    story = tmp_path / "story"
    assert run(["sim", "run", "--seeds", "4..5", "--trace", str(story)]) == ExitCode.INVALID
    assert not story.exists()
    assert run(["sim", "run", "--seeds", "4", "--profile", "calm", "--trace", str(story)]) == ExitCode.OK
    assert "CommitBlocks" in story.read_text()


@pytest.mark.parametrize("option", [["--profile", "quiet"], ["--crypto", "slow"], ["--seeds", "5..4"]])
def test_what_there_is_not_is_a_mistake_of_the_user(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sim", "run", *option]) == ExitCode.INVALID
    assert capsys.readouterr().out == ""


def test_an_interrupt_ends_all_processes_without_a_traceback() -> None:
    command = [sys.executable, "-m", "flockchain.cli", "sim", "run", "--seeds", "0..9999", "--jobs", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    deadline_s = time.monotonic() + 60
    while _count_processes(process.pid) < 3 and time.monotonic() < deadline_s:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everybody
    out, err = process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED
    assert out == b""
    assert b"Traceback" not in err
    assert _wait_for_none(process.pid)


def _count_processes(group: int) -> int:
    listed = subprocess.run(["ps", "-eo", "pgid="], capture_output=True, text=True, check=True).stdout.split()
    return listed.count(str(group))


def _wait_for_none(group: int) -> bool:
    for _ in range(100):
        if _count_processes(group) == 0:
            return True
        time.sleep(0.1)
    return False
