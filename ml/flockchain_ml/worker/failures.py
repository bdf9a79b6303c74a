"""Typed errors as gRPC statuses: one sentence for the caller, never a traceback."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from flockchain.primitives.errors import InvalidInput, Refused
from flockchain_ml.worker.turns import Busy

__all__ = ["NotHere", "answering"]

_log = logging.getLogger("flockchain_ml.worker")


class NotHere(Refused):
    """A base model or a data set that this module does not hold."""


@asynccontextmanager
async def answering(context: Any) -> AsyncIterator[None]:
    """Turn what goes wrong inside into the status that the contract names."""
    try:
        yield
    except Busy as error:
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
    except InvalidInput as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except Refused as error:
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
    except MemoryError:
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "out of memory")
    except RuntimeError as error:  # torch's own: out of memory on the device, an unsupported operation
        _log.exception("the job failed")
        await context.abort(grpc.StatusCode.INTERNAL, f"the computation failed: {str(error).splitlines()[0][:200]}")
