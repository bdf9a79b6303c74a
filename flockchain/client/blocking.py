"""Runs an asynchronous noun from ordinary code: one event loop in one thread, and one line for each method.

    class BlockingChain(Blocking[Chain]):
        get_status = blocking(Chain.get_status)

The wrapper keeps the signature and the docstring, so nothing is written twice. Knows nothing of the chain.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar

from flockchain.primitives.errors import Fault

__all__ = ["Blocking", "ClientClosed", "LoopThread", "blocking", "blocking_handle", "blocking_iterator"]

N = TypeVar("N")
P = ParamSpec("P")
T = TypeVar("T")
W = TypeVar("W")

_END: Final = object()


class ClientClosed(Fault):
    """The client was closed."""


class LoopThread:
    """An event loop that runs in a thread of its own, from the first use until `close`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    @property
    def is_running(self) -> bool:
        return self._loop is not None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for `work` on the loop. An interrupt of the waiting thread cancels it."""
        try:
            loop = self._start()
        except ClientClosed:
            work.close()
            raise
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Stop the loop and join the thread; a second call does nothing."""
        with self._lock:
            self._is_closed = True
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def _start(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._is_closed:
                raise ClientClosed("the client is closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="flockchain-client", daemon=True)
                self._thread.start()
            return self._loop


class Blocking(Generic[N]):
    """An asynchronous noun for ordinary code."""

    def __init__(self, noun: N, loop: LoopThread) -> None:
        self.noun = noun
        self.loop = loop


class blocking(Generic[N, P, T]):  # noqa: N801 -- used like a decorator
    """A coroutine method of a noun as an ordinary method of its `Blocking` twin."""

    def __init__(self, method: Callable[Concatenate[N, P], Coroutine[Any, Any, T]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, twin: Blocking[N] | None, owner: type) -> Callable[P, T]:
        method = self._method

        @functools.wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            if twin is None:
                raise TypeError(f"{owner.__name__}.{method.__name__} is called on an instance")
            return twin.loop.run(method(twin.noun, *args, **kwargs))

        return call


class blocking_handle(Generic[N, P, T, W]):  # noqa: N801 -- used like a decorator
    """A coroutine method that returns a handle; its ordinary twin returns the handle's twin."""

    def __init__(
        self, method: Callable[Concatenate[N, P], Coroutine[Any, Any, T]], wrap: Callable[[T, LoopThread], W]
    ) -> None:
        self._method = method
        self._wrap = wrap
        self.__doc__ = method.__doc__

    def __get__(self, twin: Blocking[N] | None, owner: type) -> Callable[P, W]:
        method, wrap = self._method, self._wrap

        @functools.wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> W:
            if twin is None:
                raise TypeError(f"{owner.__name__}.{method.__name__} is called on an instance")
            return wrap(twin.loop.run(method(twin.noun, *args, **kwargs)), twin.loop)

        return call


class blocking_iterator(Generic[N, P, T]):  # noqa: N801 -- used like a decorator
    """An asynchronous generator method of a noun as an ordinary generator method."""

    def __init__(self, method: Callable[Concatenate[N, P], AsyncIterator[T]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, twin: Blocking[N] | None, owner: type) -> Callable[P, Iterator[T]]:
        method = self._method

        @functools.wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
            if twin is None:
                raise TypeError(f"{owner.__name__}.{method.__name__} is called on an instance")
            return iterate(twin.loop, method(twin.noun, *args, **kwargs))

        return call


def iterate(loop: LoopThread, items: AsyncIterator[T]) -> Iterator[T]:
    """The items of an asynchronous generator, one at a time; it is closed when the caller stops."""

    async def take() -> Any:
        return await anext(items, _END)

    async def close() -> None:
        if hasattr(items, "aclose"):
            await items.aclose()

    try:
        while (item := loop.run(take())) is not _END:
            yield item
    finally:
        loop.run(close())
