"""One job at a time in a thread of its own, with progress for whoever waits.

The event loop stays free to answer health questions while torch computes. A job whose caller has gone stops at its
next report; until its thread has really ended the turn is still taken, so two jobs never share a model.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

from flockchain.primitives.errors import Refused

__all__ = ["Busy", "Cancelled", "Job", "Turn", "Turns"]

R = TypeVar("R")
P = TypeVar("P")
Report = Callable[[P], None]


class Busy(Refused):
    """Another job runs; one at a time."""


class Cancelled(Refused):
    """Whoever asked for the job hung up."""


class Job(Generic[P, R]):
    """A running job: `follow` its progress, then `result`. `work` hears of a cancellation when it reports."""

    def __init__(self, work: Callable[[Report[P]], R]) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._latest: P | None = None
        self._is_cancelled = threading.Event()
        self._future = self._loop.run_in_executor(None, work, self._report)
        self._future.add_done_callback(self._on_over)

    async def follow(self) -> AsyncIterator[P]:
        """Progress until the work is over; what a slow reader missed is left out."""
        while True:
            await self._news.wait()
            self._news.clear()
            latest, self._latest = self._latest, None
            if latest is not None:
                yield latest
            if self._future.done():
                return

    async def result(self) -> R:
        """What the work returned; raises what it raised."""
        return await asyncio.shield(self._future)

    @property
    def is_over(self) -> bool:
        """Whether the thread has ended."""
        return self._future.done()

    def cancel(self) -> None:
        """Have the work stop at its next report."""
        self._is_cancelled.set()

    def call_when_over(self, then: Callable[[], None]) -> None:
        """Call `then` on the loop once the thread has ended."""
        self._future.add_done_callback(lambda _: then())

    def _report(self, progress: P) -> None:
        if self._is_cancelled.is_set():
            raise Cancelled("the call was cancelled")
        self._loop.call_soon_threadsafe(self._note, progress)

    def _on_over(self, future: asyncio.Future[R]) -> None:
        if not future.cancelled():
            future.exception()  # whoever waits still gets it; when nobody does, it is no news
        self._news.set()

    def _note(self, progress: P) -> None:
        self._latest = progress
        self._news.set()


class Turn:
    """The right to work. Ends with the block that holds it, or later, with the thread of its job."""

    def __init__(self, let_go: Callable[[], None]) -> None:
        self._let_go = let_go
        self._job: Job[object, object] | None = None

    def start(self, work: Callable[[Report[P]], R]) -> Job[P, R]:
        """Begin the turn's one job."""
        job: Job[P, R] = Job(work)
        self._job = job  # type: ignore[assignment]
        return job

    def __enter__(self) -> Turn:
        return self

    def __exit__(self, *_: object) -> None:
        job, self._job = self._job, None
        if job is None or job.is_over:
            self._let_go()
            return
        job.cancel()
        job.call_when_over(self._let_go)


class Turns:
    """Grants one turn at a time, without queueing."""

    def __init__(self) -> None:
        self.is_busy = False

    def take(self) -> Turn:
        """The turn, if nobody has it. Raises `Busy`."""
        if self.is_busy:
            raise Busy("another job is running")
        self.is_busy = True
        return Turn(self._end)

    def _end(self) -> None:
        self.is_busy = False
