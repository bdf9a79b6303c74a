"""What a caller is told when a request fails: one status and one sentence, never a traceback.

`InvalidInput` is INVALID_ARGUMENT, `Refused` is FAILED_PRECONDITION, a few classes say more (the table). A fault of
this machine is UNAVAILABLE without its details, a mistake of ours INTERNAL; both are logged in full.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NoReturn

import grpc.aio

from flockchain.primitives.errors import Fault, InvalidInput, Refused
from flockchain.rpc.heads import SlowReader, TooManySubscribers
from flockchain.rpc.malformed import SoundRequests, read_softly, require_sound
from flockchain.runtime.frame import ValueMissing
from flockchain.runtime.pallets.staking import EpochUnknown
from flockchain.storage.blobs import BlobUnknown
from flockchain.storage.disk import DiskFull

__all__ = ["Failures", "LimitReached", "NotThere", "compute_status"]

_LOG: Final = logging.getLogger(__name__)
_DETAIL_CHARACTERS_MAX: Final = 600


class NotThere(Refused):
    """What was asked for does not exist, or not here."""


class LimitReached(Refused):
    """A limit of this node's API is reached; later it may not be."""


_FIRST_MATCH: Final[tuple[tuple[type[Exception], grpc.StatusCode], ...]] = (
    (NotThere, grpc.StatusCode.NOT_FOUND),
    (BlobUnknown, grpc.StatusCode.NOT_FOUND),
    (ValueMissing, grpc.StatusCode.NOT_FOUND),
    (EpochUnknown, grpc.StatusCode.NOT_FOUND),
    (LimitReached, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (SlowReader, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (TooManySubscribers, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (InvalidInput, grpc.StatusCode.INVALID_ARGUMENT),
    (Refused, grpc.StatusCode.FAILED_PRECONDITION),
    (TimeoutError, grpc.StatusCode.DEADLINE_EXCEEDED),
)


def compute_status(error: Exception) -> tuple[grpc.StatusCode, str]:
    """The status and the sentence for an error. Faults and mistakes keep their details to themselves."""
    for family, code in _FIRST_MATCH:
        if isinstance(error, family):
            return code, str(error)[:_DETAIL_CHARACTERS_MAX] or "the request took too long"
    if isinstance(error, DiskFull):
        return grpc.StatusCode.UNAVAILABLE, "the node's disk is full"
    if isinstance(error, Fault):
        return grpc.StatusCode.UNAVAILABLE, "the node cannot serve this now; its log says why"
    return grpc.StatusCode.INTERNAL, "the node made a mistake; its log says more"


class Failures(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Wraps every handler: a deadline for unary ones, and a status for every error."""

    def __init__(self, unary_deadline_ms: int) -> None:
        self._unary_deadline_s = unary_deadline_ms / 1000

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        """The handler for a call, wrapped."""
        handler = await continuation(details)
        if handler is None or details.method.startswith("/grpc."):
            return handler
        codecs = (read_softly(handler.request_deserializer), handler.response_serializer)
        if handler.request_streaming and not handler.response_streaming:
            return grpc.stream_unary_rpc_method_handler(
                self._wrap_unary(handler.stream_unary, None, SoundRequests), *codecs
            )
        if not handler.request_streaming and handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(self._wrap_stream(handler.unary_stream), *codecs)
        if not handler.request_streaming:
            wrapped = self._wrap_unary(handler.unary_unary, self._unary_deadline_s, require_sound)
            return grpc.unary_unary_rpc_method_handler(wrapped, *codecs)
        return handler

    def _wrap_unary(
        self, inner: Callable[[Any, Any], Awaitable[Any]], deadline_s: float | None, check: Callable[[Any], Any]
    ) -> Any:
        async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            try:
                async with asyncio.timeout(deadline_s):
                    return await inner(check(request), context)
            except (grpc.aio.AbortError, grpc.aio.BaseError):
                raise
            except Exception as error:
                await _abort(context, error)

        return answer

    def _wrap_stream(self, inner: Callable[[Any, Any], AsyncIterator[Any]]) -> Any:
        async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            try:
                async for message in inner(require_sound(request), context):
                    yield message
            except (grpc.aio.AbortError, grpc.aio.BaseError):
                raise
            except Exception as error:
                await _abort(context, error)

        return answer


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: Exception) -> NoReturn:
    code, sentence = compute_status(error)
    if code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE):
        _LOG.error("an API request failed", exc_info=error)
    await context.abort(code, sentence)
    raise AssertionError("abort raises")
