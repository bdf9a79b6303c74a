"""The bytes of an update and of an aggregate: a canonical subset of safetensors.

A file is what the safetensors library writes for these tensors with no metadata: a header length (u64, little-endian),
a JSON header padded with spaces to a multiple of 8 bytes, then the tensors' little-endian integers in ascending
order of name with no gaps. Names, shapes and dtype follow from the task's adapter, so the header is a function of
the adapter: a file is accepted only if its header is that header, byte for byte. There is one encoding of a value.

Tensors: "<module>.lora_A" [rank, in_features] and "<module>.lora_B" [out_features, rank]. An FFA update holds only
lora_B (that is ΔB). Updates are int16. Aggregates are int32; in STACK mode their rank is a multiple of the task's.

It knows shapes and bytes; not scales, not what the numbers mean.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flockchain.exact.source import BytesSource, Source
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain.primitives.limits import UPDATES_PER_ROUND_MAX

__all__ = [
    "HEADER_BYTES_MAX", "AdapterFileError", "DtypeError", "HeaderError", "Layout", "LengthError", "NamesError",
    "NotAdapterError", "Place", "ShapeError", "Tensors", "compute_aggregate_bytes", "compute_aggregate_header",
    "compute_aggregate_layout", "compute_update_bytes", "compute_update_header", "compute_update_layout",
    "decode_aggregate", "decode_update", "encode_aggregate", "encode_update", "require_layout",
]  # fmt: skip

Tensors = dict[str, NDArray[Any]]
Shapes = dict[str, tuple[int, int]]

HEADER_BYTES_MAX = 1024 * 1024  # what is parsed to say what is wrong; an accepted header is compared, never parsed
_ALIGNMENT = 8
_LENGTH_BYTES = 8
_UPDATE = ("I16", np.dtype("<i2"))
_AGGREGATE = ("I32", np.dtype("<i4"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where one tensor lies in a file: its first byte, its rows and columns."""

    name: str
    start: int
    rows: int
    columns: int

    @property
    def values(self) -> int:
        return self.rows * self.columns


@dataclass(frozen=True, slots=True)
class Layout:
    """A kind of file of one adapter, without its numbers: the header's bytes, and the tensors in their order."""

    header: bytes
    dtype_name: str
    dtype: np.dtype[Any]
    places: tuple[Place, ...]
    size_bytes: int

    @property
    def shapes(self) -> Shapes:
        return {place.name: (place.rows, place.columns) for place in self.places}


class AdapterFileError(InvalidInput):
    """Bytes or tensors that are not an update (or an aggregate) of this task's adapter."""


class NotAdapterError(AdapterFileError):
    """The bytes are not a safetensors file at all: a pickle, an archive, text, noise."""


class HeaderError(AdapterFileError):
    """A readable header that is not in the canonical form."""


class NamesError(AdapterFileError):
    """A tensor is missing, or one is there that the task does not have."""


class ShapeError(AdapterFileError):
    """A tensor has another shape (so another rank) than the task's."""


class DtypeError(AdapterFileError):
    """A tensor has another dtype than this kind of file."""


class LengthError(AdapterFileError):
    """The data is shorter or longer than its header says."""


def compute_update_layout(spec: AdapterSpec) -> Layout:
    """The layout of every update of this adapter."""
    return _build_layout(_compute_shapes(spec, spec.rank), *_UPDATE)


def compute_aggregate_layout(spec: AdapterSpec, updates: int) -> Layout:
    """The layout of an aggregate of `updates` updates (FFA: the same for any number)."""
    factor = 1 if spec.mode is AdapterMode.FFA else updates
    return _build_layout(_compute_shapes(spec, spec.rank * factor), *_AGGREGATE)


def compute_update_bytes(spec: AdapterSpec) -> int:
    """The size of every update of this adapter: exactly this many bytes."""
    return compute_update_layout(spec).size_bytes


def compute_aggregate_bytes(spec: AdapterSpec, updates: int) -> int:
    """The size of an aggregate of `updates` updates (FFA: the same for any number)."""
    return compute_aggregate_layout(spec, updates).size_bytes


def compute_update_header(spec: AdapterSpec) -> bytes:
    """The length and header that every update of this adapter starts with."""
    return compute_update_layout(spec).header


def compute_aggregate_header(spec: AdapterSpec, updates: int) -> bytes:
    """The length and header of an aggregate of `updates` updates."""
    return compute_aggregate_layout(spec, updates).header


def require_layout(source: Source, layout: Layout) -> None:
    """Refuse bytes that do not have this layout's header, or another length. Reads no more than a header.

    Raises an `AdapterFileError` that says what differs from the task's adapter.
    """
    size, wanted = source.size_bytes, len(layout.header)
    if size < wanted or source.view(0, wanted) != layout.header:
        head = bytes(source.view(0, min(size, _LENGTH_BYTES + HEADER_BYTES_MAX)))
        raise _explain_header(head, size, layout)
    if size != layout.size_bytes:
        raise LengthError("the file is not as long as its header says", wanted=layout.size_bytes, got=size)


def decode_update(data: bytes, spec: AdapterSpec) -> Tensors:
    """The int16 tensors of an update, by name ascending, read-only.

    Raises an `AdapterFileError` that says what differs from the task's adapter.
    """
    return _decode(data, compute_update_layout(spec))


def encode_update(tensors: Mapping[str, NDArray[Any]], spec: AdapterSpec) -> bytes:
    """The canonical bytes of an update: int16 tensors with exactly the adapter's names and shapes."""
    return _encode(tensors, compute_update_layout(spec))


def decode_aggregate(data: bytes, spec: AdapterSpec) -> Tensors:
    """The int32 tensors of an aggregate, by name ascending, read-only. STACK: of any number of updates."""
    factor = 1 if spec.mode is AdapterMode.FFA else _find_stack_factor(data, spec)
    return _decode(data, compute_aggregate_layout(spec, factor))


def encode_aggregate(tensors: Mapping[str, NDArray[Any]], spec: AdapterSpec) -> bytes:
    """The canonical bytes of an aggregate: int32 tensors. STACK: the rank says how many updates it holds."""
    factor = 1
    if spec.mode is AdapterMode.STACK:
        first = tensors.get(f"{spec.modules[0].name}.lora_A")
        factor = max(1, len(first) // spec.rank) if first is not None and first.ndim == 2 else 1
    return _encode(tensors, compute_aggregate_layout(spec, factor))


def _compute_shapes(spec: AdapterSpec, rank: int) -> Shapes:
    shapes: Shapes = {}
    for module in spec.modules:
        if spec.mode is AdapterMode.STACK:
            shapes[f"{module.name}.lora_A"] = (rank, module.in_features)
        shapes[f"{module.name}.lora_B"] = (module.out_features, rank)
    return dict(sorted(shapes.items()))


def _compute_header(shapes: Shapes, dtype_name: str, dtype: np.dtype[Any]) -> bytes:
    entries: dict[str, dict[str, object]] = {}
    offset = 0
    for name, (rows, columns) in shapes.items():
        end = offset + rows * columns * dtype.itemsize
        entries[name] = {"dtype": dtype_name, "shape": [rows, columns], "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    padded = text + b" " * (-len(text) % _ALIGNMENT)
    return len(padded).to_bytes(_LENGTH_BYTES, "little") + padded


def _build_layout(shapes: Shapes, dtype_name: str, dtype: np.dtype[Any]) -> Layout:
    header = _compute_header(shapes, dtype_name, dtype)
    places, start = [], len(header)
    for name, (rows, columns) in shapes.items():
        places.append(Place(name, start, rows, columns))
        start += rows * columns * dtype.itemsize
    return Layout(header, dtype_name, dtype, tuple(places), start)


def _encode(tensors: Mapping[str, NDArray[Any]], layout: Layout) -> bytes:
    shapes = layout.shapes
    _require_names(set(tensors), shapes)
    parts = [layout.header]
    for name, shape in shapes.items():
        tensor = tensors[name]
        if tensor.dtype.newbyteorder("<") != layout.dtype:
            got = str(tensor.dtype)
            raise DtypeError("a tensor has the wrong dtype", tensor=name, wanted=layout.dtype_name, got=got)
        if tensor.shape != shape:
            raise ShapeError("a tensor has the wrong shape", tensor=name, wanted=shape, got=tensor.shape)
        parts.append(np.ascontiguousarray(tensor.astype(layout.dtype, copy=False)).tobytes())
    return b"".join(parts)


def _decode(data: bytes, layout: Layout) -> Tensors:
    require_layout(BytesSource(data), layout)
    return {
        place.name: np.frombuffer(data, layout.dtype, place.values, place.start).reshape(place.rows, place.columns)
        for place in layout.places
    }


def _find_stack_factor(data: bytes, spec: AdapterSpec) -> int:
    """How many updates a stack's size says it holds; a wrong guess is refused by the comparison of headers."""
    factors = range(1, UPDATES_PER_ROUND_MAX)  # a header of a thousand modules costs milliseconds: search, do not scan
    return 1 + bisect_left(factors, len(data), key=lambda factor: compute_aggregate_bytes(spec, factor))


def _require_names(names: set[str], shapes: Shapes) -> None:
    extra = sorted(names - set(shapes))
    missing = sorted(set(shapes) - names)
    if extra or missing:
        raise NamesError("the tensors are not the task's", extra=_shorten(extra), missing=_shorten(missing))


def _shorten(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _sketch(value: object) -> str:
    """A JSON value of somebody else's header: short ones as they are, of others the kind."""
    is_flat = not isinstance(value, list | dict) or (len(value) <= 4 and all(type(item) is int for item in value))
    return str(value)[:64] if is_flat else type(value).__name__


def _explain_header(data: bytes, size_bytes: int, layout: Layout) -> AdapterFileError:
    """Why a header is not the canonical one, as the error to raise. `data`: at least all that a header may be."""
    shapes, dtype_name = layout.shapes, layout.dtype_name
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if size_bytes < _LENGTH_BYTES or length > min(HEADER_BYTES_MAX, size_bytes - _LENGTH_BYTES):
        return NotAdapterError("the bytes do not start with a safetensors header", size_bytes=size_bytes)
    try:
        entries = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + length].decode("utf-8"))
    except (ValueError, RecursionError):
        return NotAdapterError("the header is not JSON", header_bytes=length)
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        return NotAdapterError("the header is not an object of tensors", header_bytes=length)
    try:
        _require_names(set(entries), shapes)
    except NamesError as error:
        return error
    for name, shape in shapes.items():
        if entries[name].get("dtype") != dtype_name:
            got = _sketch(entries[name].get("dtype"))
            return DtypeError("a tensor has the wrong dtype", tensor=name, wanted=dtype_name, got=got)
        if entries[name].get("shape") != list(shape):
            got = _sketch(entries[name].get("shape"))
            return ShapeError("a tensor has the wrong shape", tensor=name, wanted=list(shape), got=got)
    return HeaderError("the header is not in canonical form: order, offsets, spaces or metadata", header_bytes=length)
