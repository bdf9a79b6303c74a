"""The host's clock: Unix milliseconds that never go back, even when somebody sets the machine's clock."""

from __future__ import annotations

import time

__all__ = ["HostClock"]


class HostClock:
    """Wall time, held where it is while the wall clock is behind what was told already."""

    def __init__(self) -> None:
        self._last_ms = 0

    def now_ms(self) -> int:
        """Unix time in milliseconds, never less than before."""
        self._last_ms = max(self._last_ms, time.time_ns() // 1_000_000)
        return self._last_ms
