"""The fleet: what is started is stopped, and what dies is noticed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flockchain.devnet.processes import Fleet, ProcessEnded, find_free_ports, wait_until
from flockchain.primitives.errors import Fault

SLEEPER = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(60)",
]
FORKER = [
    sys.executable,
    "-c",
    "import os, time; pid = os.fork(); print(pid, flush=True) if pid else None; time.sleep(60)",
]


def _wait_for_words(fleet: Fleet, name: str) -> str:
    process = fleet.processes[name]
    wait_until(
        lambda: bool(process.get_log_tail()), timeout_ms=10_000, what="first words", check=lambda: fleet.require_alive()
    )
    return process.get_log_tail()


def test_stop_all_leaves_no_process_behind(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, {})
    for name in ("one", "two"):
        fleet.start(name, SLEEPER)
        _wait_for_words(fleet, name)
    assert fleet.stop_all() == ()
    assert not any(process.is_alive for process in fleet.processes.values())


def test_a_process_that_ignores_sigterm_is_killed_and_named(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, {})
    fleet.start("stubborn", STUBBORN)
    _wait_for_words(fleet, "stubborn")
    assert fleet.stop_all(stop_ms=200) == ("stubborn",)
    assert not fleet.processes["stubborn"].is_alive


def test_what_a_process_forked_is_stopped_with_it(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, {})
    fleet.start("parent", FORKER)
    child = int(_wait_for_words(fleet, "parent"))
    fleet.stop_all()

    def is_gone() -> bool:
        try:
            return Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    wait_until(is_gone, timeout_ms=5_000, what="end of the fork", check=lambda: None)


def test_an_early_end_is_noticed_with_its_last_words(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, {})
    process = fleet.start("brief", [sys.executable, "-c", "print('the reason'); raise SystemExit(3)"])
    process.handle.wait(timeout=10)
    with pytest.raises(ProcessEnded, match=r"exit_code=3.*the reason"):
        fleet.require_alive()


def test_the_environment_reaches_the_process(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, {"FLOCK_TEST_WORD": "seen"})
    process = fleet.start("child", [sys.executable, "-c", "import os; print(os.environ['FLOCK_TEST_WORD'])"], nice=5)
    process.handle.wait(timeout=10)
    assert process.get_log_tail() == "seen"
    assert os.environ.get("FLOCK_TEST_WORD") is None


def test_free_ports_differ() -> None:
    assert len(set(find_free_ports(16))) == 16


def test_waiting_ends_with_a_fault_that_says_what_was_awaited() -> None:
    with pytest.raises(Fault, match="the moon"):
        wait_until(lambda: False, timeout_ms=60, what="the moon", check=lambda: None)


OWNER = """
import sys
from pathlib import Path
from flockchain.devnet.processes import Fleet
fleet = Fleet(Path(sys.argv[1]), {})
sleeper = "import os, time; os.fork(); print(os.getpid(), flush=True); time.sleep(60)"
for name in ("one", "two"):
    fleet.start(name, [sys.executable, "-c", sleeper])
fleet.start("ended", [sys.executable, "-c", "pass"])
fleet.kill("ended")
print("ready", flush=True)
sys.stdin.read()
"""


def test_what_a_fleet_started_ends_with_its_owner_even_when_that_is_killed_with_9(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"

        def read_pids() -> list[int]:
            return [int(word) for name in ("one", "two") for word in (tmp_path / f"{name}.log").read_text().split()]

        wait_until(lambda: len(read_pids()) == 4, timeout_ms=10_000, what="four processes run", check=lambda: None)
        pids = read_pids()
        owner.send_signal(signal.SIGKILL)
        wait_until(
            lambda: not any(_is_running(pid) for pid in pids), timeout_ms=10_000, what="all end", check=lambda: None
        )
    finally:
        owner.kill()
        owner.communicate()


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
