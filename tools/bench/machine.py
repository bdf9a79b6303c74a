"""What the machine was like during a measurement: its cores, its noise, and what processes used of it."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

__all__ = ["CpuClock", "describe_command", "describe_machine", "get_percentile", "set_priority"]

_ROUNDS = 9
_LOOP = 200_000


@dataclass(frozen=True, slots=True)
class CpuClock:
    """CPU seconds of some processes at a moment of wall time."""

    wall_s: float
    cpu_s: float

    @classmethod
    def read(cls, pids: Iterable[int]) -> CpuClock:
        ticks = os.sysconf("SC_CLK_TCK")
        total = 0
        for pid in pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])  # user and system
        return cls(time.monotonic(), total / ticks)

    def since(self, before: CpuClock) -> float:
        """CPU seconds since `before`."""
        return self.cpu_s - before.cpu_s


@dataclass(frozen=True, slots=True)
class Noise:
    """How fast a fixed piece of work is right now; other work on the machine makes it slower."""

    load_1min: float
    hash_loop_ms: float
    fsync_ms: float


def describe_command(module: str) -> str:
    """The command line that makes the same figures again; where it wrote them does not matter."""
    words = sys.argv[1:]
    if "--out" in words:
        del words[words.index("--out") : words.index("--out") + 2]
    return " ".join(["python -m", module, *words])


def describe_machine(folder: Path | None = None) -> dict[str, Any]:
    """Cores, interpreter, and the machine's noise at this moment."""
    noise = Noise(os.getloadavg()[0], _measure(_hash), _measure_fsync(folder))
    return {
        "cores": len(os.sched_getaffinity(0)), "python": platform.python_version(), "system": platform.platform(),
        **{name: round(value, 2) for name, value in asdict(noise).items()},
    }  # fmt: skip


def set_priority(pids: Iterable[int], nice: int) -> None:
    """Weigh processes against other work on this machine; Linux weighs sessions first, then what is in them."""
    for pid in pids:
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))
        os.setpriority(os.PRIO_PROCESS, pid, nice)


def get_percentile(values: Iterable[float], percent: int) -> float:
    """The nearest-rank percentile; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0


def _measure(work: Callable[[], None]) -> float:
    times = []
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        work()
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


def _hash() -> None:
    digest = b""
    for _ in range(_LOOP // 10):
        digest = sha256(digest).digest()


def _measure_fsync(folder: Path | None) -> float:
    with tempfile.TemporaryFile(dir=folder) as file:

        def append() -> None:
            file.write(b"x" * 512)
            file.flush()
            os.fdatasync(file.fileno())

        return _measure(append)
