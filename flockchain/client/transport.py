"""Calls to one of several nodes: deadlines, retries of what may be repeated, and typed errors.

Knows endpoints and gRPC channels; knows nothing of what the calls mean. Channels are made on first use, on the event
loop that uses them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import grpc.aio

from flockchain.client.errors import BrokenAnswer, DeadlineExceeded, Unreachable, build_error, is_worth_retrying
from flockchain.primitives.errors import FlockchainError, InvalidInput
from flockchain.primitives.limits import API_MESSAGE_BYTES_MAX

__all__ = ["Link", "Timing", "Transport"]

Q = TypeVar("Q")
A = TypeVar("A")
S = TypeVar("S")

_CHANNEL_OPTIONS: Final = (
    ("grpc.max_receive_message_length", API_MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", API_MESSAGE_BYTES_MAX),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


@dataclass(frozen=True, slots=True)
class Timing:
    """How long to wait and how often to try."""

    deadline_ms: int = 10_000  # of one call with all of its attempts
    stream_silence_ms: int = 30_000  # between two messages of a transfer
    attempts: int = 5  # of a call that may be repeated
    backoff_ms: int = 100  # before the second attempt; doubles
    poll_ms: int = 200  # between two looks at something that is waited for


class Link:
    """One endpoint: its channel and its stubs."""

    def __init__(self, endpoint: str, credentials: grpc.ChannelCredentials | None) -> None:
        self.endpoint = endpoint
        self._credentials = credentials
        self._channel: grpc.aio.Channel | None = None
        self._stubs: dict[Any, Any] = {}

    def get(self, stub: Callable[[grpc.aio.Channel], S]) -> S:
        """The stub of that class, made once."""
        made = self._stubs.get(stub)
        if made is None:
            made = self._stubs[stub] = stub(self._open())
        result: S = made
        return result

    async def close(self) -> None:
        channel, self._channel = self._channel, None
        self._stubs.clear()
        if channel is not None:
            await channel.close(None)

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            if self._credentials is None:
                self._channel = grpc.aio.insecure_channel(self.endpoint, options=_CHANNEL_OPTIONS)
            else:
                self._channel = grpc.aio.secure_channel(self.endpoint, self._credentials, options=_CHANNEL_OPTIONS)
        return self._channel


class Transport:
    """The nodes that a client talks to. The first that answers is used until it fails."""

    def __init__(
        self, endpoints: Sequence[str], timing: Timing, credentials: grpc.ChannelCredentials | None = None
    ) -> None:
        if not endpoints:
            raise InvalidInput("a client needs at least one endpoint, as host:port")
        self.timing = timing
        self.links = tuple(Link(endpoint, credentials) for endpoint in endpoints)
        self._current = 0

    @property
    def link(self) -> Link:
        """The node in use."""
        return self.links[self._current]

    def change_link(self, failed: Link) -> None:
        """Use the next node, unless that has happened already."""
        if self.link is failed:
            self._current = (self._current + 1) % len(self.links)

    async def call(
        self, method: Callable[[Link], grpc.aio.UnaryUnaryMultiCallable[Q, A]], request: Q, *,
        link: Link | None = None, deadline_ms: int | None = None,
    ) -> A:  # fmt: skip
        """One answer. The call must be harmless to repeat: it is, with back-off and on the next node.

        `link` pins it to one node. Raises the typed errors of `client.errors`.
        """
        total_ms = deadline_ms or self.timing.deadline_ms
        loop = asyncio.get_running_loop()
        ends = loop.time() * 1000 + total_ms
        failure: FlockchainError = Unreachable("no attempt was made", deadline_ms=total_ms)
        for attempt in range(self.timing.attempts):
            used = link or self.link
            left_ms = ends - loop.time() * 1000
            if left_ms <= 0:
                break
            try:
                return _require_message(await method(used)(request, timeout=left_ms / 1000), used)
            except grpc.aio.AioRpcError as error:
                failure = build_error(error, used.endpoint)
                if not is_worth_retrying(error):
                    raise failure from None
                if link is None:
                    self.change_link(used)
            await asyncio.sleep(min(self.timing.backoff_ms << attempt, max(0, ends - loop.time() * 1000)) / 1000)
        raise failure

    async def read_stream(self, call: grpc.aio.UnaryStreamCall[Q, A], link: Link, silence_ms: int) -> AsyncIterator[A]:
        """The messages of one response stream. Raises a typed error when it breaks or is silent for too long."""
        messages = aiter(call)
        try:
            while True:
                try:
                    yield _require_message(await asyncio.wait_for(anext(messages), silence_ms / 1000), link)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    raise DeadlineExceeded(
                        "the node has gone silent", endpoint=link.endpoint, silence_ms=silence_ms
                    ) from None
        except grpc.aio.AioRpcError as error:
            raise build_error(error, link.endpoint) from None
        finally:
            call.cancel()

    async def close(self) -> None:
        for link in self.links:
            await link.close()


def _require_message(answer: A | None, link: Link) -> A:
    """The answer. gRPC gives None for bytes that are no message."""
    if answer is None:
        raise BrokenAnswer("a node's answer is no message", endpoint=link.endpoint)
    return answer
