"""Virtual time: what happens next, and in what order when several things happen at once."""

from __future__ import annotations

import heapq
from collections.abc import Callable

__all__ = ["Schedule"]


class Schedule:
    """A clock in milliseconds and the actions to come; equal times run in the order in which they were added."""

    def __init__(self, start_ms: int) -> None:
        self.now_ms = start_ms
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._added = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, after_ms: int, action: Callable[[], None]) -> None:
        """Run `action` in `after_ms`."""
        self._added += 1
        heapq.heappush(self._heap, (self.now_ms + max(0, after_ms), self._added, action))

    def run_until(self, end_ms: int) -> None:
        """Run everything that is due up to `end_ms`, which is then the time."""
        while self._heap and self._heap[0][0] <= end_ms:
            self.now_ms, _, action = heapq.heappop(self._heap)
            action()
        self.now_ms = max(self.now_ms, end_ms)
