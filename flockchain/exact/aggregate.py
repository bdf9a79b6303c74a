"""The aggregate of a round's accepted updates, exact: a function of the set of updates, in integers (LEARNING §5).

FFA. A is frozen, so the mean of the products is the product of the mean:
    B_new = B_old + round_half_even(Σ ΔB_i / n), result int32 at the module's b_scale_bits.

STACK. The mean of n products B_i·A_i is one product of concatenations, in ascending order of SHA-256(update bytes):
    A = [A_1; ...; A_n]    B = [round_half_even(B_i · 2**15 / n), ...]    int32
A keeps a_scale_bits; B is at b_scale_bits + STACK_EXTRA_SCALE_BITS. With n a power of two B/n is exact; otherwise it is
within 2**-16 of an int16 step, the same bits everywhere. A model in STACK mode is the sum of all rounds' stacks.

There is one path, `stream_aggregate`: updates are read and the aggregate is made window by window, so that neither has
to fit into memory. `compute_aggregate` is the same for those that do. Sums are int32: no sum of a round is larger.

It knows adapters' bytes; not who sent them, nor why they were accepted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flockchain.exact.adapter_file import (
    Layout,
    Place,
    compute_aggregate_layout,
    compute_update_layout,
    require_layout,
)
from flockchain.exact.rounding import SMALL_DIVISOR_MAX, divide_half_even_in_place
from flockchain.exact.source import BytesSource, Source
from flockchain.primitives.errors import InvalidInput, invariant
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain.primitives.limits import UPDATES_PER_ROUND_MAX

__all__ = ["STACK_EXTRA_SCALE_BITS", "AggregateError", "compute_aggregate", "stream_aggregate"]

STACK_EXTRA_SCALE_BITS = 15  # |int16 · 2**15| <= 2**30, inside int32
_INT32 = np.iinfo(np.int32)
_OUT: Final = np.dtype("<i4")
_WINDOW_VALUES: Final = 1 << 16  # of one tensor at a time: what they need stays in the processor's cache
_DIGEST_BYTES: Final = 1 << 20

invariant(UPDATES_PER_ROUND_MAX * 2**15 < 2**31, "a sum of a round's int16 must fit int32")
invariant(UPDATES_PER_ROUND_MAX <= SMALL_DIVISOR_MAX, "a round's count must divide int32")


class AggregateError(InvalidInput):
    """Updates that do not add up: none, too many, or a sum outside int32."""


def compute_aggregate(spec: AdapterSpec, previous: bytes | None, updates: Sequence[bytes]) -> bytes:
    """The canonical bytes of the aggregate of `updates`, in whatever order they come.

    `previous` is the model's last aggregate (None: B starts at zero). STACK has no use for it: its rounds add up.
    Raises `AdapterFileError` for bytes that are not this adapter's, `AggregateError` for a set that does not add up.
    """
    result = BytesIO()
    old = BytesSource(previous) if previous is not None else None
    for piece in stream_aggregate(spec, old, [BytesSource(update) for update in updates]):
        result.write(piece)
    return result.getvalue()


def stream_aggregate(
    spec: AdapterSpec, previous: Source | None, updates: Sequence[Source]
) -> Iterator[bytes | memoryview]:
    """The same bytes piece by piece, each good until the next. Every header and length is checked before the first.

    Raises as `compute_aggregate`; a sum outside int32 may show only after some pieces. STACK reads every update twice.
    """
    if not 1 <= len(updates) <= UPDATES_PER_ROUND_MAX:
        raise AggregateError("an aggregate needs at least one update", updates=len(updates), most=UPDATES_PER_ROUND_MAX)
    own, result = compute_update_layout(spec), compute_aggregate_layout(spec, len(updates))
    for update in updates:
        require_layout(update, own)
    if spec.mode is AdapterMode.STACK:
        return _stream_stack(own, result, updates)
    if previous is not None:
        require_layout(previous, result)
    return _stream_ffa(own, result, previous, updates)


def _stream_ffa(
    own: Layout, result: Layout, previous: Source | None, updates: Sequence[Source]
) -> Iterator[bytes | memoryview]:
    yield result.header
    sums: NDArray[np.int32] = np.empty(_WINDOW_VALUES, np.int32)
    for place, target in zip(own.places, result.places, strict=True):
        for at in range(0, place.values, _WINDOW_VALUES):
            window = sums[: min(_WINDOW_VALUES, place.values - at)]
            window[:] = _read(updates[0], own, place, at, len(window))
            for update in updates[1:]:
                np.add(window, _read(update, own, place, at, len(window)), out=window)
            divide_half_even_in_place(window, len(updates))
            if previous is not None:
                _add(place.name, window, _read(previous, result, target, at, len(window)))
            yield _write(window)


def _stream_stack(own: Layout, result: Layout, updates: Sequence[Source]) -> Iterator[bytes | memoryview]:
    ordered = sorted(updates, key=_compute_digest)  # two of one digest have the same bytes: either may be first
    yield result.header
    for place in own.places:
        is_a = place.name.endswith(".lora_A")
        for window in _join_rows(own, place, ordered) if is_a else _join_columns(own, place, ordered):
            if not is_a:
                window <<= STACK_EXTRA_SCALE_BITS
                divide_half_even_in_place(window, len(ordered))
            yield _write(window)


def _join_rows(own: Layout, place: Place, ordered: Sequence[Source]) -> Iterator[NDArray[np.int32]]:
    for update in ordered:
        for at in range(0, place.values, _WINDOW_VALUES):
            yield _read(update, own, place, at, min(_WINDOW_VALUES, place.values - at)).astype(np.int32)


def _join_columns(own: Layout, place: Place, ordered: Sequence[Source]) -> Iterator[NDArray[np.int32]]:
    step = max(1, _WINDOW_VALUES // (place.columns * len(ordered)))
    block: NDArray[np.int32] = np.empty((min(step, place.rows), len(ordered), place.columns), np.int32)
    for row in range(0, place.rows, step):
        window = block[: min(step, place.rows - row)]
        for index, update in enumerate(ordered):
            part = _read(update, own, place, row * place.columns, len(window) * place.columns)
            window[:, index] = part.reshape(len(window), place.columns)
        yield window.reshape(-1)


def _read(source: Source, layout: Layout, place: Place, at: int, count: int) -> NDArray[Any]:
    """`count` values of a tensor, from its value `at` on."""
    size = layout.dtype.itemsize
    return np.frombuffer(source.view(place.start + at * size, count * size), layout.dtype)


def _write(window: NDArray[np.int32]) -> memoryview:
    return window.astype(_OUT, copy=False).data.cast("B")


def _add(name: str, means: NDArray[np.int32], old: NDArray[Any]) -> None:
    """Add what was there. A mean of int16 is an int16, so only old values near the ends need a wider sum."""
    if old.min() < _INT32.min + 2**15 or old.max() > _INT32.max - 2**15:
        wide = old.astype(np.int64) + means
        if wide.min() < _INT32.min or wide.max() > _INT32.max:
            lowest, highest = int(wide.min()), int(wide.max())
            raise AggregateError("a sum does not fit 32 bits", tensor=name, lowest=lowest, highest=highest)
    np.add(means, old, out=means)


def _compute_digest(source: Source) -> bytes:
    digest = hashlib.sha256()
    for start in range(0, source.size_bytes, _DIGEST_BYTES):
        digest.update(source.view(start, min(_DIGEST_BYTES, source.size_bytes - start)))
    return digest.digest()
