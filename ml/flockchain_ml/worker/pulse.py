"""A sign of life now and then: calls back at most once in an interval, however often it is asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

__all__ = ["Pulse"]

_INTERVAL_MS: Final = 2_000


class Pulse:
    """Beats on the running loop's clock, from its making on."""

    def __init__(self, show: Callable[[], Awaitable[None]], interval_ms: int = _INTERVAL_MS) -> None:
        self._show = show
        self._interval_s = interval_ms / 1000
        self._last = asyncio.get_running_loop().time()

    async def beat(self) -> None:
        """Show, if it was long ago."""
        now = asyncio.get_running_loop().time()
        if now - self._last >= self._interval_s:
            self._last = now
            await self._show()
