"""Tells every subscriber the heights of newly finalized blocks; a reader that falls behind is cut off.

Knows heights only: what a subscriber says of a block it reads from the chain when its turn comes.
"""

from __future__ import annotations

import asyncio
from typing import Final

from flockchain.primitives.errors import Refused
from flockchain.primitives.numbers import Height

__all__ = ["HEADS_QUEUED_MAX", "SUBSCRIBERS_MAX", "HeadBroadcast", "HeadReader", "SlowReader", "TooManySubscribers"]

HEADS_QUEUED_MAX: Final = 256
SUBSCRIBERS_MAX: Final = 256


class SlowReader(Refused):
    """A subscriber fell further behind than its queue holds; it may subscribe again from the last height it saw."""


class TooManySubscribers(Refused):
    """The node serves no more event streams."""


class HeadReader:
    """One subscriber: an async iterator of heights, ascending. `close` it, or use it as a context."""

    def __init__(self, broadcast: HeadBroadcast, queued_max: int) -> None:
        self._broadcast = broadcast
        self._queued_max = queued_max
        self._heights: asyncio.Queue[Height | None] = asyncio.Queue()
        self._is_cut_off = False

    def offer(self, height: Height) -> bool:
        """Queue a height; False when the queue is full, and the reader is then cut off."""
        if self._heights.qsize() >= self._queued_max:
            self._is_cut_off = True
            self.end()
            return False
        self._heights.put_nowait(height)
        return True

    def end(self) -> None:
        """Nothing follows what is queued."""
        self._heights.put_nowait(None)

    def close(self) -> None:
        self._broadcast.leave(self)

    def __enter__(self) -> HeadReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> HeadReader:
        return self

    async def __anext__(self) -> Height:
        height = await self._heights.get()
        if height is not None:
            return height
        self.end()
        if self._is_cut_off:
            raise SlowReader("the reader is slower than the chain", queued_max=self._queued_max)
        raise StopAsyncIteration


class HeadBroadcast:
    """One publisher, many bounded readers, all on one event loop."""

    def __init__(self, *, queued_max: int = HEADS_QUEUED_MAX, subscribers_max: int = SUBSCRIBERS_MAX) -> None:
        self._queued_max = queued_max
        self._subscribers_max = subscribers_max
        self._readers: set[HeadReader] = set()
        self._is_closed = False

    @property
    def subscribers(self) -> int:
        return len(self._readers)

    def publish(self, height: Height) -> None:
        """The block at `height` is finalized and readable. Never waits."""
        for reader in tuple(self._readers):
            if not reader.offer(height):
                self._readers.discard(reader)

    def close(self) -> None:
        """The node stops: every stream ends after what it still holds."""
        self._is_closed = True
        for reader in self._readers:
            reader.end()
        self._readers.clear()

    def subscribe(self) -> HeadReader:
        """Heights published from this call on. Raises `TooManySubscribers`; reading may raise `SlowReader`."""
        if len(self._readers) >= self._subscribers_max:
            raise TooManySubscribers("the node serves no more event streams", most=self._subscribers_max)
        reader = HeadReader(self, self._queued_max)
        if self._is_closed:
            reader.end()
        else:
            self._readers.add(reader)
        return reader

    def leave(self, reader: HeadReader) -> None:
        self._readers.discard(reader)
