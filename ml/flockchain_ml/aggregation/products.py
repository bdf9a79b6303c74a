"""Updates as the changes of weights that they are, ΔW = B·A a module, measured without building ΔW.

Inner products come from the factors: ⟨B_i·A_i, B_j·A_j⟩ = Σ (B_iᵀ·B_j) ∘ (A_i·A_jᵀ), so a basis change that leaves the
product alone changes nothing. FFA updates share one A. All float64; knows no rule and no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flockchain.exact import compute_initial_a, decode_update
from flockchain.primitives.learning import AdapterMode, AdapterSpec

__all__ = [
    "Factors", "Matrix", "compute_cosines", "compute_gram", "compute_metric", "compute_norms",
    "compute_squared_distances", "count_entries", "decode_factors", "sample_entries",
]  # fmt: skip

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Factors:
    """One update, dequantised: `a` is [rank, in] and `b` [out, rank] by module. FFA: `b` is ΔB, `a` the frozen A."""

    a: Mapping[str, Matrix]
    b: Mapping[str, Matrix]


def decode_factors(spec: AdapterSpec, updates: Sequence[bytes]) -> tuple[Factors, ...]:
    """Exact: a fixed-point integer is a float64. Raises `AdapterFileError` for bytes that are not the task's."""
    frozen = _dequantise_a(compute_initial_a(spec), spec) if spec.mode is AdapterMode.FFA else None
    found = []
    for update in updates:
        tensors = decode_update(update, spec)
        b = {m.name: _dequantise(tensors[f"{m.name}.lora_B"], m.b_scale_bits) for m in spec.modules}
        found.append(Factors(frozen if frozen is not None else _dequantise_a(tensors, spec), b))
    return tuple(found)


def compute_gram(spec: AdapterSpec, factors: Sequence[Factors]) -> Matrix:
    """[n, n] inner products of the updates' ΔW, summed over modules."""
    count = len(factors)
    gram = np.zeros((count, count))
    for module in spec.modules:
        b = np.concatenate([factor.b[module.name] for factor in factors], axis=1)
        if spec.mode is AdapterMode.FFA:
            a = factors[0].a[module.name]
            flat = np.stack([(factor.b[module.name] @ compute_metric(a)).ravel() for factor in factors])
            gram += flat @ flat.T
        else:
            a = np.concatenate([factor.a[module.name] for factor in factors], axis=0)
            blocks = (a @ a.T) * (b.T @ b)
            gram += blocks.reshape(count, spec.rank, count, spec.rank).sum(axis=(1, 3))
    return np.asarray((gram + gram.T) / 2)


def compute_metric(a: Matrix) -> Matrix:
    """The symmetric root of A·Aᵀ [rank, rank]: B·root has the inner products of B·A."""
    values, vectors = np.linalg.eigh(a @ a.T)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def compute_norms(spec: AdapterSpec, factors: Sequence[Factors]) -> Matrix:
    """[n] Frobenius norms of the updates' ΔW, each from its own factors only."""
    squares = [
        sum(float(((f.a[m.name] @ f.a[m.name].T) * (f.b[m.name].T @ f.b[m.name])).sum()) for m in spec.modules)
        for f in factors
    ]
    return np.asarray(np.sqrt(np.maximum(np.array(squares), 0)))


def compute_squared_distances(gram: Matrix) -> Matrix:
    """[n, n] from a Gram matrix; never negative."""
    squares = np.diag(gram)
    return np.asarray(np.maximum(squares[:, None] + squares[None, :] - 2 * gram, 0))


def compute_cosines(gram: Matrix) -> Matrix:
    """[n, n] cosines from a Gram matrix; an update of zeros has 0 with the others. The diagonal is 1."""
    norms = np.sqrt(np.maximum(np.diag(gram), 0))
    scale = norms[:, None] * norms[None, :]
    cosines = np.divide(gram, scale, out=np.zeros_like(gram), where=scale > 0)
    np.fill_diagonal(cosines, 1.0)
    return np.asarray(np.clip(cosines, -1, 1))


def count_entries(spec: AdapterSpec) -> int:
    """How many entries all ΔW have together."""
    return sum(module.out_features * module.in_features for module in spec.modules)


def sample_entries(spec: AdapterSpec, factors: Sequence[Factors], positions: NDArray[np.int64]) -> Matrix:
    """[n, positions] the entries of ΔW at these places, modules in order, rows first, without building ΔW."""
    found, start = np.zeros((len(factors), len(positions))), 0
    for module in spec.modules:
        size = module.out_features * module.in_features
        inside = (positions >= start) & (positions < start + size)
        rows, columns = np.divmod(positions[inside] - start, module.in_features)
        for index, factor in enumerate(factors):
            found[index, inside] = np.einsum("kr,rk->k", factor.b[module.name][rows], factor.a[module.name][:, columns])
        start += size
    return found


def _dequantise_a(tensors: Mapping[str, NDArray[Any]], spec: AdapterSpec) -> dict[str, Matrix]:
    return {m.name: _dequantise(tensors[f"{m.name}.lora_A"], m.a_scale_bits) for m in spec.modules}


def _dequantise(values: NDArray[Any], scale_bits: int) -> Matrix:
    return np.ldexp(values.astype(np.float64), -scale_bits)
