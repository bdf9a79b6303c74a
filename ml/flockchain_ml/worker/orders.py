"""What the module services share in reading an order: the adapter's shape, the base model, the rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import ADAPTER_SPEC, AdapterSpec
from flockchain.rpc.messages import build_adapter
from flockchain_ml.data import Row, decode_row
from flockchain_ml.models import LoadedModel
from flockchain_ml.worker.attachments import AttachmentRefused
from flockchain_ml.worker.failures import NotHere

__all__ = ["SpecMismatch", "decode_rows", "read_adapter", "receive_order", "require_base"]


class SpecMismatch(InvalidInput):
    """An adapter whose readable fields and canonical bytes disagree."""


async def receive_order(requests: AsyncIterator[Any]) -> tuple[Any, AsyncIterator[Any]]:
    """The order that opens a request stream, and the pieces that follow it."""
    first = await anext(requests, None)
    if first is None or first.WhichOneof("part") != "order":
        raise AttachmentRefused("a stream begins with an order")
    return first.order, _iterate_pieces(requests)


async def _iterate_pieces(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        if request.WhichOneof("part") != "piece":
            raise AttachmentRefused("only pieces follow the order", part=request.WhichOneof("part"))
        yield request.piece


def read_adapter(message: Any) -> AdapterSpec:
    """The adapter's spec from its canonical bytes, which must say what the readable fields say."""
    spec = ADAPTER_SPEC.decode(message.spec_bytes_canonical)
    if build_adapter(spec) != message:
        raise SpecMismatch("an adapter's fields are not those of its canonical bytes", rank=message.rank)
    return spec


def require_base(loaded: LoadedModel, base_model: bytes) -> None:
    """Refuse an order for a base model that is not the one loaded here."""
    if base_model != loaded.digest:
        raise NotHere("this base model is not here", wanted=base_model, held=loaded.digest)


def decode_rows(lines: bytes) -> tuple[Row, ...]:
    """Rows of JSON lines."""
    return tuple(decode_row(line) for line in lines.splitlines() if line.strip())
