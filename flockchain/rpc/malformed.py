"""Requests that are no message at all, as an error like any other.

gRPC's own answer to such bytes is UNKNOWN, with the parser's words, and a traceback in the log for each of them. Here a
reader that fails gives a mark in the place of the message, and whoever takes the message refuses the mark.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from flockchain.primitives.errors import InvalidInput

__all__ = ["MalformedRequest", "SoundMessages", "SoundRequests", "read_softly", "require_sound"]

_MALFORMED: Final = object()


class MalformedRequest(InvalidInput):
    """Bytes that are not a message of the method's type."""


def read_softly(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """A request reader that gives a mark where `read` would raise."""

    def read_or_mark(data: bytes) -> Any:
        try:
            return read(data)
        except DecodeError:
            return _MALFORMED

    return read_or_mark


def require_sound(request: Any) -> Any:
    """The request itself. Raises `MalformedRequest` for a mark."""
    if request is _MALFORMED:
        raise MalformedRequest("the request is not a message of this method")
    return request


class SoundRequests:
    """A stream of requests that raises `MalformedRequest` where one is none."""

    def __init__(self, requests: AsyncIterator[Any]) -> None:
        self._requests = requests
        self._messages: AsyncIterator[Any] | None = None  # made when it is read: a handler may read by its context

    def __aiter__(self) -> SoundRequests:
        return self

    async def __anext__(self) -> Any:
        if self._messages is None:
            self._messages = aiter(self._requests)
        return require_sound(await anext(self._messages))


class SoundMessages(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """For a server that has no other say in failures: a request that is no message is an invalid argument."""

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        """The handler for a call, with a reader that does not raise."""
        handler = await continuation(details)
        if handler is None or handler.request_deserializer is None:
            return handler
        codecs = (read_softly(handler.request_deserializer), handler.response_serializer)
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(_hand_stream(handler.stream_stream), *codecs)
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(_hand_request(handler.unary_unary), *codecs)
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(_hand_to_stream(handler.unary_stream), *codecs)
        return handler


def _hand_stream(inner: Callable[[Any, Any], Awaitable[None]]) -> Any:
    async def answer(requests: Any, context: Any) -> None:
        await inner(SoundRequests(requests), context)

    return answer


def _hand_request(inner: Callable[[Any, Any], Awaitable[Any]]) -> Any:
    async def answer(request: Any, context: Any) -> Any:
        return await inner(await _check(request, context), context)

    return answer


def _hand_to_stream(inner: Callable[[Any, Any], AsyncIterator[Any]]) -> Any:
    async def answer(request: Any, context: Any) -> AsyncIterator[Any]:
        async for message in inner(await _check(request, context), context):
            yield message

    return answer


async def _check(request: Any, context: Any) -> Any:
    try:
        return require_sound(request)
    except MalformedRequest as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
