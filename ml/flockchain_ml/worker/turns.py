"""One job at a time in a thread of its own, with progress for whoever waits.

The event loop stays free to answer health questions while torch computes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

from flockchain.primitives.errors import Refused

__all__ = ["Busy", "Cancelled", "Job", "Turns"]

R = TypeVar("R")
P = TypeVar("P")


class Busy(Refused):
    """Another job runs; one at a time."""


class Cancelled(Refused):
    """Whoever asked for the job hung up."""


class Job(Generic[P, R]):
    """A running job: iterate for its progress, then `result`."""

    def __init__(self, work: Callable[[Callable[[P], None]], R]) -> None:
        self._loop = asyncio.get_running_loop()
        self._progress: asyncio.Queue[P | None] = asyncio.Queue()
        self._is_cancelled = threading.Event()
        self._future = self._loop.run_in_executor(None, self._run, work)

    def _run(self, work: Callable[[Callable[[P], None]], R]) -> R:
        try:
            return work(self._report)
        finally:
            self._loop.call_soon_threadsafe(self._progress.put_nowait, None)

    def _report(self, progress: P) -> None:
        if self._is_cancelled.is_set():
            raise Cancelled("the call was cancelled")
        self._loop.call_soon_threadsafe(self._progress.put_nowait, progress)

    async def follow(self) -> AsyncIterator[P]:
        """Progress until the work is over."""
        while (progress := await self._progress.get()) is not None:
            yield progress

    async def result(self) -> R:
        """What the work returned; raises what it raised."""
        return await self._future

    def cancel(self) -> None:
        """Have the work stop at its next report."""
        self._is_cancelled.set()


class Turns:
    """Grants one turn at a time, without queueing."""

    def __init__(self) -> None:
        self.is_busy = False

    def __enter__(self) -> Turns:
        if self.is_busy:
            raise Busy("another job is running")
        self.is_busy = True
        return self

    def __exit__(self, *_: object) -> None:
        self.is_busy = False
