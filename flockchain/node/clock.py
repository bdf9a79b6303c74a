"""The host's clock: Unix milliseconds that never go back, even when somebody sets the machine's clock."""

from __future__ import annotations

import time

from flockchain.replica.steady_clock import SteadyClock

__all__ = ["HostClock"]


class HostClock:
    """Wall time, made steady."""

    def __init__(self) -> None:
        self._clock = SteadyClock()

    def now_ms(self) -> int:
        """Unix time in milliseconds, never less than before."""
        return self._clock.tell_ms(time.time_ns(), time.monotonic_ns())
