"""Typed errors as gRPC statuses: one sentence for the caller, never a traceback."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import grpc

from flockchain.primitives.errors import Fault, InvalidInput, Refused
from flockchain_ml.worker.attachments import StreamSilent
from flockchain_ml.worker.turns import Busy

__all__ = ["NotHere", "answering", "describe_failure"]

_DETAILS_MAX: Final = 300
_DRAIN_MS: Final = 2_000
_DRAIN_SILENCE_MS: Final = 200
_log = logging.getLogger("flockchain_ml.worker")


class NotHere(Refused):
    """A base model or a data set that this module does not hold."""


# First match wins. RuntimeError is torch's own: out of memory on the device, an unsupported operation.
_CODES: Final[tuple[tuple[type[Exception], grpc.StatusCode], ...]] = (
    (Busy, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (MemoryError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (StreamSilent, grpc.StatusCode.DEADLINE_EXCEEDED),
    (InvalidInput, grpc.StatusCode.INVALID_ARGUMENT),
    (Refused, grpc.StatusCode.FAILED_PRECONDITION),
    (Fault, grpc.StatusCode.INTERNAL),
    (RuntimeError, grpc.StatusCode.INTERNAL),
)


@asynccontextmanager
async def answering(context: Any, requests: AsyncIterator[Any]) -> AsyncIterator[None]:
    """Turn what goes wrong inside into the status that the contract names, once the caller has said its piece."""
    try:
        yield
    except grpc.aio.AbortError:
        raise
    except Exception as error:
        code, sentence = _find_code(error), describe_failure(error)
        if code is None:
            code = grpc.StatusCode.INTERNAL
            _log.exception("a mistake in this module")
        else:
            _log.warning("%s: %s", code.name.lower().replace("_", " "), sentence)
        await _drain(requests)
        await context.abort(code, sentence)


async def _drain(requests: AsyncIterator[Any]) -> None:
    """Read on and forget: a client that is still sending when a call ends may never see why (gRPC Python does not)."""
    with suppress(TimeoutError, InvalidInput):
        async with asyncio.timeout(_DRAIN_MS / 1000):
            while await asyncio.wait_for(anext(requests, None), _DRAIN_SILENCE_MS / 1000) is not None:
                pass


def _find_code(error: Exception) -> grpc.StatusCode | None:
    """The status of an error's family; None for what nobody raised on purpose."""
    return next((code for family, code in _CODES if isinstance(error, family)), None)


def describe_failure(error: Exception) -> str:
    """One line of bounded length."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:_DETAILS_MAX]
