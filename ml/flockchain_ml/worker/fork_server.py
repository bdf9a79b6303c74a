"""Imports torch, transformers and peft once, then forks a worker for each line that it reads.

    <- {"name": "evaluator-0", "module": "...", "arguments": ["run", ...], "log": "...", "nice": 5}
    -> {"name": "evaluator-0", "pid": 4711}           it runs
    -> {"name": "evaluator-0", "exit_code": 0}        it has ended

A dozen workers that each import torch take a minute on two cores and 400 MB each; forked ones share both. A worker
runs `main(arguments)` of its module, with its output in its log. When the input closes, everything ends. No gRPC and
no thread may exist before a fork, so nothing is imported here but what has to be shared.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import time
from typing import Any, Final

__all__ = ["main"]

_SHARED: Final = ("torch", "transformers", "peft", "flockchain_ml.models.loader", "flockchain_ml.models.adapters")
_POLL_S: Final = 0.1
_STOP_S: Final = 5.0
_IS_BROKEN: Final = 70  # EX_SOFTWARE


def main() -> int:
    """Serve requests on standard input until it closes."""
    for name in _SHARED:
        importlib.import_module(name)
    workers: dict[int, str] = {}
    pending = b""
    while True:
        ready, _, _ = select.select([0], [], [], _POLL_S)
        _reap(workers)
        if not ready:
            continue
        data = os.read(0, 65_536)
        if not data:
            _end(workers)
            return 0
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            pid = _fork(request)
            workers[pid] = request["name"]
            _say({"name": request["name"], "pid": pid})


def _fork(request: dict[str, Any]) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = _IS_BROKEN
    try:
        code = _run(request)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()  # into the worker's log: a worker's mistake must leave a trace
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(request: dict[str, Any]) -> int:
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if request.get("nice"):
        os.nice(max(0, int(request["nice"]) - os.nice(0)))
    result = importlib.import_module(request["module"]).main(request["arguments"])
    return int(result or 0)


def _reap(workers: dict[int, str]) -> None:
    for pid in tuple(workers):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            _say({"name": workers.pop(pid), "exit_code": os.waitstatus_to_exitcode(status)})


def _end(workers: dict[int, str]) -> None:
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    while workers and time.monotonic() < deadline:
        _reap(workers)
        time.sleep(_POLL_S)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
