"""The learning side, as the devnet sees it: one process that imports torch once and forks the workers.

    python -m flockchain_ml.worker.fork_server
      <- {"name": "evaluator-0", "module": "...", "arguments": ["run", ...], "log": "...", "nice": 5}
      -> {"name": "evaluator-0", "pid": 4711}           it runs
      -> {"name": "evaluator-0", "exit_code": 0}        it has ended

One JSON object a line. A worker runs `main(arguments)` of its module. The server ends, and its workers with it, when
its input closes. Knows names of modules; imports nothing of the learning side.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from flockchain.devnet.processes import ProcessEnded, signal_group
from flockchain.primitives.errors import Fault

__all__ = ["ForkServer", "WorkerFailed", "read_progress"]

MODULE: Final = "flockchain_ml.worker.fork_server"
_START_MS: Final = 180_000  # importing torch, transformers and peft on a busy machine
_STOP_S: Final = 10
_POLL_S: Final = 0.02
_PROGRESS: Final = "progress: "


class WorkerFailed(Fault):
    """A worker of the learning side did not do what it was asked."""


class ForkServer:
    """A running fork server. Its workers are its children and die with it."""

    def __init__(self, log: Path, nice: int) -> None:
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as sink:
            self._handle = subprocess.Popen(
                ["nice", "-n", str(nice), sys.executable, "-m", MODULE],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink, start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
            )  # fmt: skip
        self._pids: dict[str, int] = {}
        self._ended: dict[str, int] = {}
        self._logs: dict[str, Path] = {}
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._listen, name="fork-server", daemon=True).start()

    def spawn(self, name: str, module: str, arguments: Sequence[str], log: Path, *, nice: int = 0) -> int:
        """Start a worker; returns its process id (0: it has ended already)."""
        self._ended.pop(name, None)
        self._logs[name] = log
        request = {"name": name, "module": module, "arguments": list(arguments), "log": str(log), "nice": nice}
        if self._handle.stdin is None or self._handle.poll() is not None:
            raise self._describe_end()
        self._handle.stdin.write(json.dumps(request).encode() + b"\n")
        self._handle.stdin.flush()
        deadline = time.monotonic_ns() + _START_MS * 1_000_000
        self._take_answers()
        while name not in self._pids and name not in self._ended:
            time.sleep(_POLL_S)
            self._take_answers()
            if self._handle.poll() is not None:
                raise self._describe_end()
            if time.monotonic_ns() > deadline:
                raise WorkerFailed("the learning side does not start", worker=name, log=self._log)
        return self._pids.get(name, 0)

    def is_done(self, name: str) -> bool:
        """Whether a worker has ended well. Raises `WorkerFailed` when it has ended badly."""
        self._take_answers()
        code = self._ended.get(name)
        if code:
            raise WorkerFailed(
                "a worker of the learning side failed", worker=name, exit_code=code, log=self._logs[name],
                last_words=_read_tail(self._logs[name]),
            )  # fmt: skip
        return code == 0

    def require_alive(self, names: Sequence[str]) -> None:
        """Refuse to go on when the server or one of these workers has ended."""
        if self._handle.poll() is not None:
            raise self._describe_end()
        for name in names:
            if self.is_done(name):
                raise WorkerFailed("a worker of the learning side ended too early", worker=name, log=self._logs[name])

    def stop(self) -> None:
        """End the server and all of its workers."""
        if self._handle.stdin is not None and self._handle.poll() is None:
            self._handle.stdin.close()
        try:
            self._handle.wait(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            signal_group(self._handle.pid, is_final=False)
        signal_group(self._handle.pid, is_final=True)
        self._handle.wait()

    def _listen(self) -> None:
        stream = self._handle.stdout
        for line in stream if stream is not None else ():
            self._answers.put(json.loads(line))

    def _take_answers(self) -> None:
        while not self._answers.empty():
            answer = self._answers.get()
            if "pid" in answer:
                self._pids[answer["name"]] = answer["pid"]
            else:
                self._ended[answer["name"]] = answer["exit_code"]
                self._pids.pop(answer["name"], None)

    def _describe_end(self) -> ProcessEnded:
        return ProcessEnded(
            "the learning side ended",
            exit_code=self._handle.returncode,
            log=self._log,
            last_words=_read_tail(self._log),
        )


def read_progress(log: Path) -> str:
    """`: ` and the last step that a worker said it has done, in lines that begin with `progress: `; or nothing."""
    steps = [line for line in _read_lines(log) if line.startswith(_PROGRESS)]
    return f": {steps[-1].removeprefix(_PROGRESS)}" if steps else ""


def _read_tail(file: Path) -> str:
    return "\n".join(_read_lines(file)[-5:])


def _read_lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
