"""Proposes few factors for a stack: the best approximation of a rank, by a singular value decomposition in f64.

ΔW = B·A is never built: with B = Q_b·R_b and Aᵀ = Q_a·R_a the small core R_b·R_aᵀ has the same singular values. The
factors are rounded to the integers of an aggregate file; every term's two halves share its size evenly, so that none
is rounded coarsely. Two machines may propose different bits; `flockchain.exact` decides about either in integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flockchain.exact import (
    RefactorisationError,
    ResidualBound,
    decode_aggregate,
    encode_aggregate,
    require_refactorisation,
)
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain_ml.aggregation.products import Matrix

__all__ = ["FactorsError", "compress_stacks", "propose_factors"]

_INT32_MAX: Final = 2**31 - 1


class FactorsError(RefactorisationError):
    """A module has no factors that fit int32 at the stack's scales, or the decomposition found none."""


def compress_stacks(
    spec: AdapterSpec, stacks: Sequence[bytes], bound: ResidualBound, updates: int = 1
) -> tuple[bytes, ...]:
    """One file of rank `updates` · r if it stands for the stacks within the bound; otherwise the stacks stay."""
    try:
        proposal = propose_factors(spec, stacks, updates)
        require_refactorisation(spec, stacks, proposal, bound, updates)
    except RefactorisationError:
        return tuple(stacks)
    return (proposal,)


def propose_factors(spec: AdapterSpec, stacks: Sequence[bytes], updates: int = 1) -> bytes:
    """The canonical aggregate file, of rank `updates` · r, that is nearest to the sum of `stacks` in every module.

    Raises `AdapterFileError` for bytes that are not this adapter's, `RefactorisationError` for no stack,
    `FactorsError`.
    """
    if spec.mode is not AdapterMode.STACK or not stacks:
        raise RefactorisationError("only stacks can be re-factored", mode=spec.mode.name, stacks=len(stacks))
    decoded = [decode_aggregate(stack, spec) for stack in stacks]
    tensors: dict[str, NDArray[np.int32]] = {}
    for module in spec.modules:
        a_name, b_name = f"{module.name}.lora_A", f"{module.name}.lora_B"
        a = np.concatenate([stack[a_name] for stack in decoded], axis=0).astype(np.float64)
        b = np.concatenate([stack[b_name] for stack in decoded], axis=1).astype(np.float64)
        try:
            left, right = _truncate(b, a, updates * spec.rank)
        except np.linalg.LinAlgError as error:
            raise FactorsError("the decomposition of a module failed", module=module.name, reason=str(error)) from error
        tensors[a_name], tensors[b_name] = _round(module.name, right), _round(module.name, left)
    return encode_aggregate(tensors, spec)


def _truncate(b: Matrix, a: Matrix, rank: int) -> tuple[Matrix, Matrix]:
    """[out, rank] and [rank, in] whose product is nearest to b·a. Terms beyond the rank of b·a are zero."""
    b_basis, b_core = np.linalg.qr(b)
    a_basis, a_core = np.linalg.qr(a.T)
    u, values, v = np.linalg.svd(b_core @ a_core.T, full_matrices=False)
    kept = min(rank, len(values))
    left, right = np.zeros((len(b), rank)), np.zeros((rank, a.shape[1]))
    left[:, :kept] = (b_basis @ u[:, :kept]) * values[:kept]
    right[:kept] = v[:kept] @ a_basis.T
    return _balance(left, right)


def _balance(left: Matrix, right: Matrix) -> tuple[Matrix, Matrix]:
    """Give both halves of every term the same largest entry; their product stays."""
    tops = np.abs(left).max(axis=0), np.abs(right).max(axis=1)
    scale = np.sqrt(np.divide(tops[0], tops[1], out=np.ones_like(tops[0]), where=(tops[0] > 0) & (tops[1] > 0)))
    return left / scale, right * scale[:, None]


def _round(module: str, values: Matrix) -> NDArray[Any]:
    rounded = np.rint(values)
    largest = float(np.abs(rounded).max())
    if not largest <= _INT32_MAX:
        raise FactorsError("a module's factors do not fit int32", module=module, largest=largest)
    return rounded.astype(np.int32)
