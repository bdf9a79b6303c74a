"""Ends what a devnet has started when the devnet itself is gone, however it went: a process of its own.

    python keeper.py STOP_MS      reads `+PID` and `-PID`, a line each, from standard input

Standard input is a pipe whose other end only the devnet holds, so it ends with the devnet, after `kill -9` too. Then
the process groups that were named and not taken back get SIGTERM, and SIGKILL after STOP_MS. Imports nothing of ours,
so it starts at once.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable

__all__ = ["main"]

_POLL_S = 0.05


def main() -> int:
    """Keep a list until the pipe ends, then end what is on it."""
    stop_ms = int(sys.argv[1])
    kept: dict[int, None] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # who ends us ends the devnet, and we are needed until then
    for line in sys.stdin:
        leader = int(line[1:])
        if line[0] == "+":
            kept[leader] = None
        else:
            kept.pop(leader, None)
    _signal_all(kept, signal.SIGTERM)
    deadline_ns = time.monotonic_ns() + stop_ms * 1_000_000
    while time.monotonic_ns() < deadline_ns and any(_is_there(leader) for leader in kept):
        time.sleep(_POLL_S)
    _signal_all(kept, signal.SIGKILL)
    return 0


def _signal_all(leaders: Iterable[int], number: signal.Signals) -> None:
    for leader in leaders:
        try:
            os.killpg(leader, number)
        except (ProcessLookupError, PermissionError):
            continue  # it has ended, and the number may be somebody else's


def _is_there(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
