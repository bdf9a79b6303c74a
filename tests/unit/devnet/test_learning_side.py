"""The fork server as the devnet uses it: the real one, with modules of the standard library as its workers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flockchain.devnet.learning_side import ForkServer, WorkerFailed, read_progress
from flockchain.devnet.processes import ProcessEnded, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

MODULE = "timeit"  # its `main(arguments)` runs a statement; a wrong option makes it return 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    pytest.importorskip("torch")
    running = ForkServer(tmp_path_factory.mktemp("server") / "server.log", nice=0)
    yield running
    running.stop()


def _wait(server: ForkServer, name: str) -> None:
    wait_until(lambda: server.is_done(name), timeout_ms=30_000, what=name, check=lambda: None)


def test_a_worker_that_ends_well_is_done_and_has_its_own_log(server: ForkServer, tmp_path: Path) -> None:
    log = tmp_path / "good.log"
    server.spawn("good", MODULE, ["-n1", "-r1", "pass"], log)
    _wait(server, "good")
    assert "loop" in log.read_text()


def test_the_last_step_that_a_worker_has_done_is_what_it_says_so_of(tmp_path: Path) -> None:
    log = tmp_path / "steps.log"
    assert read_progress(log) == ""
    log.write_text("progress: one\nprogress: two of 5\nsomething else\n")
    assert read_progress(log) == ": two of 5"


def test_a_worker_that_fails_says_how_and_where(server: ForkServer, tmp_path: Path) -> None:
    server.spawn("bad", MODULE, ["--nonsense"], tmp_path / "bad.log")
    with pytest.raises(WorkerFailed, match=r"worker=bad, exit_code=2"):
        _wait(server, "bad")


def test_an_early_end_of_a_worker_that_must_go_on_is_noticed(server: ForkServer, tmp_path: Path) -> None:
    server.spawn("brief", MODULE, ["-n1", "-r1", "pass"], tmp_path / "brief.log")
    _wait(server, "brief")
    with pytest.raises(WorkerFailed, match="too early"):
        server.require_alive(["brief"])


def test_stopping_the_server_ends_its_workers(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    own = ForkServer(tmp_path / "server.log", nice=0)
    pid = own.spawn("long", MODULE, ["-n1", "-r1", "import time; time.sleep(120)"], tmp_path / "long.log")
    os.kill(pid, 0)
    own.stop()
    wait_until(
        lambda: not Path(f"/proc/{pid}").exists(), timeout_ms=10_000, what="the worker's end", check=lambda: None
    )
    with pytest.raises(ProcessEnded):
        own.spawn("late", MODULE, [], tmp_path / "late.log")
