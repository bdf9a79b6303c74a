"""Real processes on this machine: start, watch, stop, and where each one's words go.

Knows nothing of what runs in them. Every process gets its own session, so that Ctrl-C reaches only us and we stop
the others in an order of our choosing, and a log file of its own. Should we be killed, the keeper ends them.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from flockchain.devnet import keeper
from flockchain.primitives.errors import Fault

__all__ = ["STOP_MS", "Fleet", "Process", "ProcessEnded", "find_free_ports", "signal_group", "wait_until"]

STOP_MS: Final = 10_000  # between SIGTERM and SIGKILL
_POLL_MS: Final = 50
_LOG_TAIL_LINES: Final = 5


class ProcessEnded(Fault):
    """A process that should go on has ended."""


@dataclass(slots=True)
class Process:
    """One child: its name, how it was started and where it writes."""

    name: str
    command: tuple[str, ...]
    log: Path
    handle: subprocess.Popen[bytes]

    @property
    def is_alive(self) -> bool:
        return self.handle.poll() is None

    def get_log_tail(self, lines: int = _LOG_TAIL_LINES) -> str:
        """The last lines that it wrote."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


@dataclass(slots=True)
class Fleet:
    """The children that we started, in the order of their start."""

    logs: Path
    environment: Mapping[str, str]
    processes: dict[str, Process] = field(default_factory=dict)
    _keeper: subprocess.Popen[str] | None = None

    def start(self, name: str, command: Sequence[str], *, nice: int = 0) -> Process:
        """Start `command` as `name`; its output goes to `<logs>/<name>.log`. `nice` > 0 yields to the others."""
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{name}.log"
        with log.open("ab") as sink:
            handle = subprocess.Popen(
                [*_nicely(nice), *command], stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment}, start_new_session=True,
            )  # fmt: skip
        self._tell_keeper(f"+{handle.pid}")
        process = Process(name, tuple(command), log, handle)
        self.processes[name] = process
        return process

    def require_alive(self) -> None:
        """Refuse to go on when one of them has ended; say what it said last."""
        for process in self.processes.values():
            if not process.is_alive:
                raise ProcessEnded(
                    "a process of the devnet ended too early", process=process.name,
                    exit_code=process.handle.returncode, log=process.log, last_words=process.get_log_tail(),
                )  # fmt: skip

    def restart(self, name: str) -> Process:
        """Start an ended process again with the command it had."""
        return self.start(name, self.processes[name].command)

    def kill(self, name: str) -> None:
        """SIGKILL, now: for tests of what a node survives."""
        signal_group(self.processes[name].handle.pid, is_final=True)
        self.processes[name].handle.wait()
        self._tell_keeper(f"-{self.processes[name].handle.pid}")

    def stop_all(self, stop_ms: int = STOP_MS) -> tuple[str, ...]:
        """SIGTERM to all, newest first, then SIGKILL. Returns the names of those that did not stop by themselves."""
        running = [process for process in reversed(self.processes.values()) if process.is_alive]
        for process in running:
            signal_group(process.handle.pid, is_final=False)
        deadline = time.monotonic_ns() + stop_ms * 1_000_000
        killed = []
        for process in running:
            left_ms = max(0, (deadline - time.monotonic_ns()) // 1_000_000)
            try:
                process.handle.wait(timeout=left_ms / 1000)
            except subprocess.TimeoutExpired:
                killed.append(process.name)
            signal_group(process.handle.pid, is_final=True)  # what it forked may outlive it in its group
            process.handle.wait()
        self._dismiss_keeper()
        return tuple(killed)

    def _tell_keeper(self, line: str) -> None:
        """Name a process group to the keeper, or take it back."""
        if self._keeper is None:
            command = [sys.executable, "-I", "-S", keeper.__file__, str(STOP_MS)]
            self._keeper = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
        if self._keeper.stdin is None or self._keeper.poll() is not None:
            raise ProcessEnded("the keeper of the devnet's processes has ended", exit_code=self._keeper.returncode)
        self._keeper.stdin.write(f"{line}\n")
        self._keeper.stdin.flush()

    def _dismiss_keeper(self) -> None:
        """Everything has ended: so does the keeper."""
        if self._keeper is not None and self._keeper.stdin is not None:
            for process in self.processes.values():
                self._keeper.stdin.write(f"-{process.handle.pid}\n")
            self._keeper.stdin.close()
            self._keeper.wait()
        self._keeper = None


def find_free_ports(count: int, preferred: Sequence[int] = (), host: str = "127.0.0.1") -> tuple[int, ...]:
    """Ports that nobody listens on: the preferred ones if all of them are free, else any that differ."""
    for wanted in (preferred, [0] * count):
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in wanted]
        try:
            for each, port in zip(sockets, wanted, strict=True):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                each.bind((host, port))
            if len(sockets) == count:
                return tuple(each.getsockname()[1] for each in sockets)
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()
    raise Fault("this machine has no free ports", wanted=count)


def wait_until(
    is_done: Callable[[], bool], *, timeout_ms: int, what: str, check: Callable[[], None], poll_ms: int = _POLL_MS
) -> None:
    """Poll until `is_done`; `check` runs in between and raises when waiting has become pointless."""
    deadline = time.monotonic_ns() + timeout_ms * 1_000_000
    while not is_done():
        check()
        if time.monotonic_ns() > deadline:
            raise Fault("it took too long", what=what, timeout_ms=timeout_ms)
        time.sleep(poll_ms / 1000)


def _nicely(nice: int) -> list[str]:
    return ["nice", "-n", str(nice)] if nice else []


def signal_group(leader: int, *, is_final: bool) -> None:
    """SIGTERM, or SIGKILL when it `is_final`, to a process and to what it forked. It may be gone already."""
    try:
        os.killpg(leader, signal.SIGKILL if is_final else signal.SIGTERM)
    except ProcessLookupError:
        return
