"""Updates as plain float arrays, for rules that work entry by entry, and the way back to an aggregate's bytes.

The fixed-point integers are dequantised to real values. FFA: the entries are those of ΔB, for A is common. STACK: of
ΔW = B·A, built in full, and the result is cut to the task's rank by an SVD a module; A gets the right singular
vectors, B the left ones times the singular values. A float path, for experiments: an SVD has not the same bits
everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from flockchain.exact import STACK_EXTRA_SCALE_BITS, decode_aggregate, encode_aggregate
from flockchain.primitives.learning import AdapterMode, AdapterSpec, ModuleShape
from flockchain_ml.aggregation.products import Factors, Matrix, decode_factors
from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome
from flockchain_ml.aggregation.weighting import narrow

__all__ = [
    "Change", "build_change_outcome", "build_layer", "compute_mean_change", "decode_changes", "encode_change",
    "stack_changes",
]  # fmt: skip

Change = dict[str, Matrix]  # by module: ΔB [out, rank] (FFA) or ΔW [out, in] (STACK)


def decode_changes(spec: AdapterSpec, updates: Sequence[bytes]) -> tuple[Change, ...]:
    """Every update's entries."""
    return tuple(_build_change(spec, factors) for factors in decode_factors(spec, updates))


def build_layer(spec: AdapterSpec, factors: Sequence[Factors], module: str) -> Matrix:
    """[n, out, columns] the entries of one module, for rules that need no more than one at a time."""
    if spec.mode is AdapterMode.FFA:
        return np.stack([own.b[module] for own in factors])
    return np.stack([own.b[module] @ own.a[module] for own in factors])


def stack_changes(changes: Sequence[Change], module: str) -> Matrix:
    """[n, out, columns] of one module."""
    return np.stack([change[module] for change in changes])


def compute_mean_change(spec: AdapterSpec, updates: Sequence[bytes], weights: Sequence[float]) -> Change:
    """The weighted mean; one update's entries are in memory at a time."""
    total = sum(weights)
    mean: Change = {}
    for factors, weight in zip(decode_factors(spec, updates), weights, strict=True):
        for name, values in _build_change(spec, factors).items():
            part = values * (weight / total)
            mean[name] = mean[name] + part if name in mean else part
    return mean


def build_change_outcome(round: RoundInput, accepted: Sequence[int], change: Mapping[str, Matrix]) -> RoundOutcome:
    """The model moved by `change`."""
    aggregate = encode_change(round.spec, round.lineage, change)
    return RoundOutcome(tuple(sorted(accepted)), round.reputations, aggregate)


def encode_change(spec: AdapterSpec, lineage: Sequence[bytes], change: Mapping[str, Matrix]) -> bytes:
    """The aggregate's bytes: what `append_round` takes. Raises `AggregateError` for values outside int32."""
    tensors: dict[str, NDArray[np.int32]] = {}
    if spec.mode is AdapterMode.FFA:
        old = decode_aggregate(lineage[-1], spec) if lineage else {}
        for module in spec.modules:
            name = f"{module.name}.lora_B"
            moved = np.rint(np.ldexp(change[module.name], module.b_scale_bits))
            tensors[name] = narrow(name, moved + old[name] if name in old else moved)
        return encode_aggregate(tensors, spec)
    for module in spec.modules:
        a, b = _factorise(change[module.name], spec.rank)
        tensors[f"{module.name}.lora_A"] = _quantise(module, "A", a, module.a_scale_bits)
        tensors[f"{module.name}.lora_B"] = _quantise(module, "B", b, module.b_scale_bits + STACK_EXTRA_SCALE_BITS)
    return encode_aggregate(tensors, spec)


def _build_change(spec: AdapterSpec, factors: Factors) -> Change:
    if spec.mode is AdapterMode.FFA:
        return dict(factors.b)
    return {m.name: factors.b[m.name] @ factors.a[m.name] for m in spec.modules}


def _factorise(matrix: Matrix, rank: int) -> tuple[Matrix, Matrix]:
    """The best A [rank, in] and B [out, rank] for the matrix; rows of A are of unit length, or zero beyond its rank."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    kept = min(rank, len(values))
    a, b = np.zeros((rank, matrix.shape[1])), np.zeros((matrix.shape[0], rank))
    peaks = right[:kept][np.arange(kept), np.abs(right[:kept]).argmax(axis=1)]
    signs = np.where(peaks < 0, -1.0, 1.0)  # a singular pair's sign is arbitrary: the largest entry is positive
    a[:kept] = right[:kept] * signs[:, None]
    b[:, :kept] = left[:, :kept] * (values[:kept] * signs)
    return a, b


def _quantise(module: ModuleShape, matrix: str, values: Matrix, scale_bits: int) -> NDArray[np.int32]:
    name = f"{module.name}.lora_{matrix}"
    return narrow(name, np.rint(np.ldexp(values, scale_bits)))
