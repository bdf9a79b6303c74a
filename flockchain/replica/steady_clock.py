"""Time as a replica is told it: a wall clock's, but it never goes back and never stands still.

While the wall clock is behind what was told already, because somebody set it back, time goes on at half its speed
until the wall clock has caught up: whatever waits for a while to pass waits at most twice as long.
Knows two readings of the host's clocks. Does not read them itself.
"""

from __future__ import annotations

from typing import Final

__all__ = ["SteadyClock"]

_NS_PER_MS: Final = 1_000_000
_SLOWER: Final = 2


class SteadyClock:
    """One process' time. A new process believes its wall clock."""

    def __init__(self) -> None:
        self._told_ns = 0
        self._seen_ns: int | None = None  # the monotonic clock, when time was told last

    def tell_ms(self, wall_ns: int, monotonic_ns: int) -> int:
        """Unix time in milliseconds, given what the wall clock and a clock that only goes forward say now."""
        passed_ns = 0 if self._seen_ns is None else monotonic_ns - self._seen_ns
        self._seen_ns = monotonic_ns
        self._told_ns = max(wall_ns, self._told_ns + passed_ns // _SLOWER)
        return self._told_ns // _NS_PER_MS
