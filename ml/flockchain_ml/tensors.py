"""Float LoRA adapters and their canonical fixed-point bytes: the only way between torch's world and the chain's.

A float v of a module becomes the integer round_half_even(v · 2**scale_bits). NaN, infinities and values outside
int16 are refused, never clipped. Bytes, names, shapes and the arithmetic of aggregates are `flockchain.exact`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flockchain.exact import (
    STACK_EXTRA_SCALE_BITS,
    compute_a_scale_bits,
    compute_initial_a,
    decode_aggregate,
    decode_update,
    encode_update,
)
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AdapterMode, AdapterSpec, ModuleShape

__all__ = [
    "A_HEADROOM_BITS", "Adapter", "FloatArray", "LineageEmpty", "NotFinite", "OutOfRange", "TensorMissing",
    "build_module_shape", "decode_adapter", "decode_lineage", "decode_start", "encode_adapter",
]  # fmt: skip

FloatArray = NDArray[np.float32]
A_HEADROOM_BITS: Final = 3  # STACK: a trained A may grow to 2**3 times the range of its start
_INT16_MAX: Final = 32767  # the range is symmetric: -32768 is not used


class NotFinite(InvalidInput):
    """A tensor holds NaN or an infinity."""


class OutOfRange(InvalidInput):
    """A value does not fit the wire's int16 at its module's scale."""


class TensorMissing(InvalidInput):
    """An adapter lacks a module of the task."""


class LineageEmpty(InvalidInput):
    """A stacked model without any round has no adapter yet."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """LoRA weights by module name, f32. `a` is [rank, in], `b` is [out, rank]; the layer adds (alpha / rank) · B·A."""

    a: Mapping[str, FloatArray]
    b: Mapping[str, FloatArray]

    @property
    def rank(self) -> int:
        return int(next(iter(self.b.values())).shape[1])


def build_module_shape(name: str, shape: tuple[int, int], *, mode: AdapterMode, b_scale_bits: int) -> ModuleShape:
    """The shape and scales of one adapted layer, (out, in). STACK leaves A room to grow, since it is trained."""
    out_features, in_features = shape
    a_scale_bits = compute_a_scale_bits(in_features)
    if mode is AdapterMode.STACK:
        a_scale_bits -= A_HEADROOM_BITS
    return ModuleShape(name, out_features, in_features, a_scale_bits, b_scale_bits)


def encode_adapter(adapter: Adapter, spec: AdapterSpec) -> bytes:
    """The canonical update: FFA takes only `b`, which is ΔB; STACK takes both. Raises `NotFinite`, `OutOfRange`."""
    tensors: dict[str, NDArray[Any]] = {}
    for module in spec.modules:
        if spec.mode is AdapterMode.STACK:
            name = f"{module.name}.lora_A"
            tensors[name] = _quantise(name, adapter.a.get(module.name), module.a_scale_bits)
        name = f"{module.name}.lora_B"
        tensors[name] = _quantise(name, adapter.b.get(module.name), module.b_scale_bits)
    return encode_update(tensors, spec)


def decode_adapter(data: bytes, spec: AdapterSpec) -> Adapter:
    """An update's floats. FFA: `b` is ΔB and `a` the task's frozen A."""
    tensors = decode_update(data, spec)
    if spec.mode is AdapterMode.FFA:
        return Adapter(_decode_frozen_a(spec), _dequantise_b(tensors, spec, 0))
    return Adapter(_dequantise_a(tensors, spec), _dequantise_b(tensors, spec, 0))


def decode_lineage(lineage: Sequence[bytes], spec: AdapterSpec) -> Adapter:
    """The model's adapter from its aggregates, oldest first.

    FFA: the last aggregate's B over the frozen A (B is zero before the first). STACK: all rounds' stacks side by
    side, so the rank is the sum of theirs; `LineageEmpty` before the first.
    """
    if spec.mode is AdapterMode.FFA:
        if not lineage:
            zeros = {m.name: np.zeros((m.out_features, spec.rank), np.float32) for m in spec.modules}
            return Adapter(_decode_frozen_a(spec), zeros)
        return Adapter(_decode_frozen_a(spec), _dequantise_b(decode_aggregate(lineage[-1], spec), spec, 0))
    if not lineage:
        raise LineageEmpty("a stacked model has no adapter before its first round", rounds=0)
    stacks = [decode_aggregate(blob, spec) for blob in lineage]
    parts_a = [_dequantise_a(stack, spec) for stack in stacks]
    parts_b = [_dequantise_b(stack, spec, STACK_EXTRA_SCALE_BITS) for stack in stacks]
    return Adapter(
        {m.name: np.concatenate([part[m.name] for part in parts_a], axis=0) for m in spec.modules},
        {m.name: np.concatenate([part[m.name] for part in parts_b], axis=1) for m in spec.modules},
    )


def decode_start(spec: AdapterSpec, round: int) -> Adapter:
    """Where a STACK trainer starts in a round: A from the task's seed over ±1/sqrt(in) or so, B zero."""
    tensors = compute_initial_a(spec, round)
    a = {m.name: _dequantise(tensors[f"{m.name}.lora_A"], m.a_scale_bits + A_HEADROOM_BITS) for m in spec.modules}
    return Adapter(a, {m.name: np.zeros((m.out_features, spec.rank), np.float32) for m in spec.modules})


def _decode_frozen_a(spec: AdapterSpec) -> dict[str, FloatArray]:
    return _dequantise_a(compute_initial_a(spec), spec)


def _dequantise_a(tensors: Mapping[str, NDArray[Any]], spec: AdapterSpec) -> dict[str, FloatArray]:
    return {m.name: _dequantise(tensors[f"{m.name}.lora_A"], m.a_scale_bits) for m in spec.modules}


def _dequantise_b(tensors: Mapping[str, NDArray[Any]], spec: AdapterSpec, extra_bits: int) -> dict[str, FloatArray]:
    return {m.name: _dequantise(tensors[f"{m.name}.lora_B"], m.b_scale_bits + extra_bits) for m in spec.modules}


def _dequantise(values: NDArray[Any], scale_bits: int) -> FloatArray:
    """Exact in f64; one rounding to f32, the same on every machine."""
    return np.ldexp(values.astype(np.float64), -scale_bits).astype(np.float32)


def _quantise(name: str, values: NDArray[Any] | None, scale_bits: int) -> NDArray[np.int16]:
    if values is None:
        raise TensorMissing("an adapter lacks a tensor of the task", tensor=name)
    if not np.isfinite(values).all():
        raise NotFinite("a tensor holds NaN or an infinity", tensor=name)
    scaled = np.rint(np.ldexp(values.astype(np.float64), scale_bits))
    largest = float(np.abs(scaled).max()) if scaled.size else 0.0
    if largest > _INT16_MAX:
        raise OutOfRange("a value does not fit int16 at its scale", tensor=name, scale_bits=scale_bits, value=largest)
    return scaled.astype(np.int16)
