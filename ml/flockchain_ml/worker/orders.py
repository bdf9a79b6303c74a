"""What the module services share in reading an order: its announcement, the adapter's shape, the base model, the rows.

Everything that an order announces is checked against the adapter before a byte of it is read: an update, a candidate
and an FFA model have exactly one possible size.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Any, Final

from flockchain.exact import STACK_EXTRA_SCALE_BITS, compute_aggregate_bytes, compute_update_bytes
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import ADAPTER_SPEC, AdapterMode, AdapterSpec
from flockchain.primitives.limits import (
    BLOB_BYTES_MAX,
    LORA_RANK_MAX,
    MIB,
    PROMPTS_PER_ROUND_MAX,
    SCALE_BITS_MAX,
    SUITE_ROW_BYTES_MAX,
    SUITE_ROWS_MAX,
    UPDATES_PER_ROUND_MAX,
)
from flockchain.rpc.messages import build_adapter
from flockchain.v1 import learning_pb2
from flockchain_ml.models import LoadedModel, require_fit
from flockchain_ml.rows import Row, decode_row
from flockchain_ml.worker.attachments import AttachmentRefused, receive_next
from flockchain_ml.worker.failures import NotHere

__all__ = [
    "ORDER_MIB_MAX", "AdapterRefused", "decode_dataset", "decode_prompts", "read_adapter", "receive_order",
    "require_base", "require_evaluation_files", "require_training_files",
]  # fmt: skip

ORDER_MIB_MAX: Final = 4096  # all files of one order, unless whoever runs the module says otherwise
_MODEL: Final = learning_pb2.ATTACHMENT_ROLE_MODEL
_UPDATE: Final = learning_pb2.ATTACHMENT_ROLE_UPDATE
_CANDIDATE: Final = learning_pb2.ATTACHMENT_ROLE_CANDIDATE
_PROMPTS: Final = learning_pb2.ATTACHMENT_ROLE_PROMPTS
_DATASET: Final = learning_pb2.ATTACHMENT_ROLE_DATASET


class AdapterRefused(InvalidInput):
    """An adapter that contradicts itself, or that no task can have."""


async def receive_order(requests: AsyncIterator[Any]) -> tuple[Any, AsyncIterator[Any]]:
    """The order that opens a request stream, and the pieces that follow it."""
    first = await receive_next(requests)
    if first is None or first.WhichOneof("part") != "order":
        raise AttachmentRefused("a stream begins with an order")
    return first.order, _iterate_pieces(requests)


async def _iterate_pieces(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        if request.WhichOneof("part") != "piece":
            raise AttachmentRefused("only pieces follow the order", part=request.WhichOneof("part"))
        yield request.piece


def require_base(loaded: LoadedModel, base_model: bytes) -> None:
    """Refuse an order for a base model that is not the one loaded here."""
    if base_model != loaded.digest:
        raise NotHere("this base model is not here", wanted=base_model, held=loaded.digest)


def read_adapter(message: Any, loaded: LoadedModel) -> AdapterSpec:
    """The adapter's spec from its canonical bytes, which must say what the readable fields say, and fit the base."""
    spec = ADAPTER_SPEC.decode(message.spec_bytes_canonical)
    if build_adapter(spec) != message:
        raise AdapterRefused("an adapter's fields are not those of its canonical bytes", rank=message.rank)
    if not 1 <= spec.rank <= LORA_RANK_MAX or not spec.alpha:
        raise AdapterRefused("an adapter's rank is out of range", most=LORA_RANK_MAX, got=spec.rank, alpha=spec.alpha)
    names = [module.name for module in spec.modules]
    if not names or any(first >= second for first, second in pairwise(names)):
        raise AdapterRefused("an adapter's modules ascend by name, none twice", modules=len(names))
    if any(max(module.a_scale_bits, module.b_scale_bits) > SCALE_BITS_MAX for module in spec.modules):
        raise AdapterRefused("an adapter's scale is out of range", most=SCALE_BITS_MAX)
    require_fit(loaded, spec)
    return spec


def require_evaluation_files(order: Any, spec: AdapterSpec, bytes_max: int) -> None:
    """Refuse an announcement that no evaluation of this adapter can have."""
    files = tuple(order.attachments)
    rows, updates = len(order.prompt_rows), sum(file.role == _UPDATE for file in files)
    if not 1 <= rows <= PROMPTS_PER_ROUND_MAX:
        raise AttachmentRefused("an evaluation has prompts", most=PROMPTS_PER_ROUND_MAX, got=rows)
    if not 1 <= updates <= UPDATES_PER_ROUND_MAX:
        raise AttachmentRefused("an evaluation has updates", most=UPDATES_PER_ROUND_MAX, got=updates)
    _require_sequence(files, (_MODEL, _UPDATE, _CANDIDATE, _PROMPTS))
    _require_models(files, spec)
    _require_sizes(files, _UPDATE, compute_update_bytes(spec))
    _require_sizes(files, _CANDIDATE, compute_aggregate_bytes(spec, updates))
    if any(file.size_bytes > rows * (SUITE_ROW_BYTES_MAX + 1) for file in files if file.role == _PROMPTS):
        raise AttachmentRefused("the prompts are longer than their rows may be", rows=rows)
    _require_total(files, bytes_max)


def require_training_files(order: Any, spec: AdapterSpec, bytes_max: int) -> None:
    """Refuse an announcement that no training of this adapter can have."""
    files = tuple(order.attachments)
    _require_sequence(files, (_MODEL, _DATASET))
    _require_models(files, spec)
    datasets = [file.size_bytes for file in files if file.role == _DATASET]
    if len(datasets) > 1 or any(size > BLOB_BYTES_MAX for size in datasets):
        raise AttachmentRefused("an order has at most one data set", most_bytes=BLOB_BYTES_MAX, got=len(datasets))
    _require_total(files, bytes_max)


def decode_prompts(lines: bytes, rows: int) -> tuple[Row, ...]:
    """Exactly `rows` rows of JSON lines: they are the suite's own bytes, so nothing in them is skipped."""
    parts = lines.split(b"\n")
    if not parts[-1]:
        parts.pop()
    if len(parts) != rows:
        raise AttachmentRefused("there is one prompt for each drawn row", wanted=rows, got=len(parts))
    return tuple(decode_row(part) for part in parts)


def decode_dataset(lines: bytes) -> tuple[Row, ...]:
    """The rows of JSON lines; blank lines are skipped."""
    if lines.count(b"\n") > SUITE_ROWS_MAX:
        raise AttachmentRefused("a data set has too many rows", most=SUITE_ROWS_MAX, got=lines.count(b"\n"))
    return tuple(decode_row(line) for line in lines.split(b"\n") if line.strip())


def _require_sequence(files: Sequence[Any], roles: Sequence[int]) -> None:
    """Only these roles, in this order, each with ascending indexes; all but updates are numbered without gaps."""
    if any(file.role not in roles or not file.size_bytes for file in files):
        raise AttachmentRefused("an attachment is empty, or of a role that this order does not have")
    places = [(roles.index(file.role), file.index) for file in files]
    if any(first >= second for first, second in pairwise(places)):
        raise AttachmentRefused("attachments are not in the order of the contract", attachments=len(files))
    if any(file.index >= UPDATES_PER_ROUND_MAX for file in files if file.role == _UPDATE):
        raise AttachmentRefused("an update's position is out of range", most=UPDATES_PER_ROUND_MAX - 1)
    for role in roles:
        indexes = [file.index for file in files if file.role == role]
        if role != _UPDATE and indexes != list(range(len(indexes))):
            raise AttachmentRefused("attachments of a role are numbered from 0", got=str(indexes[:3]))
    for role in set(roles) & {_CANDIDATE, _PROMPTS}:
        if sum(file.role == role for file in files) != 1:
            raise AttachmentRefused("an order has exactly one file of this role", role=role)


def _require_models(files: Sequence[Any], spec: AdapterSpec) -> None:
    models = [file for file in files if file.role == _MODEL]
    extra = STACK_EXTRA_SCALE_BITS if spec.mode is AdapterMode.STACK else 0
    if any(file.b_extra_scale_bits != extra for file in files if file.role in (_MODEL, _CANDIDATE)):
        raise AttachmentRefused("an aggregate's scale is not the one of its mode", wanted=extra)
    if spec.mode is AdapterMode.FFA:
        if len(models) > 1:
            raise AttachmentRefused("a model is one file in this mode", got=len(models))
        _require_sizes(models, _MODEL, compute_aggregate_bytes(spec, 1))
    elif any(file.size_bytes > compute_aggregate_bytes(spec, UPDATES_PER_ROUND_MAX) for file in models):
        raise AttachmentRefused("a stack is larger than any round can make it", most_updates=UPDATES_PER_ROUND_MAX)


def _require_sizes(files: Sequence[Any], role: int, size_bytes: int) -> None:
    for file in files:
        if file.role == role and file.size_bytes != size_bytes:
            raise AttachmentRefused(
                "a file has not the size that its adapter gives it", index=file.index, wanted=size_bytes,
                got=file.size_bytes,
            )  # fmt: skip


def _require_total(files: Sequence[Any], bytes_max: int) -> None:
    total = sum(file.size_bytes for file in files)
    if total > bytes_max:
        raise AttachmentRefused("the order is larger than this module takes", most_mib=bytes_max // MIB, got=total)
