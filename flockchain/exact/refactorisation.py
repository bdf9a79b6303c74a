"""Whether a few factors stand for a stack: the residual of a re-factorisation, exact (LEARNING §5).

A model in STACK mode grows by n·r ranks a round. A proposer may offer factors A' [k·r, in], B' [out, k·r] for all
that stacks A [R, in], B [out, R] say. How it found them is its own affair: a singular value decomposition is not the
same bits everywhere. What is checked is, module by module and in integers,

    ‖BA − B'A'‖² · denominator  <=  numerator · ‖BA‖²                 it says nearly the same, and
    Σ_j ‖b'_j‖² · ‖a'_j‖²       <=  TERMS_MOST · ‖BA‖²                without terms that cancel one another.

Squares of Frobenius norms come from Gram matrices, ‖BA‖² = Σ (BᵀB) ∘ (AAᵀ), so no product is built: the work is
(R + k·r)² · (in + out) a module. A proposal is a canonical aggregate file of k updates, so both sides have the same
scales, and a proposal that is accepted is read by whoever reads aggregates.

Every module must pass by itself: in a sum over modules a proposer could spend all of the bound on one small layer and
erase it. The second rule is there because the model computes in floats: large terms that cancel in exact arithmetic do
not cancel in f32. The terms of a singular value decomposition are orthogonal, their sum is at most ‖BA‖².

It knows files of integers and a bound; not who proposes, nor what follows from a refusal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flockchain.exact.adapter_file import Tensors, compute_aggregate_layout, decode_aggregate, require_layout
from flockchain.exact.products import compute_gram
from flockchain.exact.source import BytesSource
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AdapterMode, AdapterSpec

__all__ = [
    "TERMS_MOST", "BoundError", "CancellationError", "ModuleResidual", "NotStackedError", "RefactorisationError",
    "ResidualBound", "ResidualError", "compute_residuals", "require_refactorisation",
]  # fmt: skip

TERMS_MOST: Final = 2  # times ‖BA‖²; room for factors that were rounded, or are not quite orthogonal
_LIMB_BITS: Final = 16


class RefactorisationError(InvalidInput):
    """Factors that cannot stand for a stack."""


class NotStackedError(RefactorisationError):
    """There is nothing to re-factor: the adapter does not stack, or no stack was given."""


class BoundError(RefactorisationError):
    """A bound that is no share between nothing and all."""


class ResidualError(RefactorisationError):
    """In some module the factors are further from the stack than the bound allows."""


class CancellationError(RefactorisationError):
    """In some module the factors have large terms that cancel one another."""


@dataclass(frozen=True, slots=True)
class ResidualBound:
    """The most that ‖BA − B'A'‖² may be of ‖BA‖²; a share of squares, so 1/100 is a tenth of the length."""

    numerator: int
    denominator: int

    def __post_init__(self) -> None:
        if not 0 <= self.numerator <= self.denominator or self.denominator < 1:
            raise BoundError("a bound is a share", numerator=self.numerator, denominator=self.denominator)


@dataclass(frozen=True, slots=True)
class ModuleResidual:
    """Of one module, in squared integer steps: ‖BA − B'A'‖², ‖BA‖² and Σ ‖b'_j‖²·‖a'_j‖²."""

    module: str
    residual: int
    norm: int
    terms: int

    def is_within(self, bound: ResidualBound) -> bool:
        """Whether the factors say nearly the same as the stack. Of a stack that says nothing: exactly the same."""
        return self.residual * bound.denominator <= bound.numerator * self.norm

    def is_free_of_cancellation(self) -> bool:
        """Whether the terms are no larger than what they add up to."""
        return self.terms <= TERMS_MOST * self.norm


def require_refactorisation(
    spec: AdapterSpec, stacks: Sequence[bytes], proposal: bytes, bound: ResidualBound, updates: int = 1
) -> tuple[ModuleResidual, ...]:
    """Refuse a proposal that is not within the bound in every module. What was measured, by module in the spec's order.

    Raises as `compute_residuals`, `ResidualError`, `CancellationError`.
    """
    measured = compute_residuals(spec, stacks, proposal, updates)
    for found in measured:
        if not found.is_within(bound):
            raise ResidualError(
                "the factors are too far from the stack", module=found.module, residual=found.residual, norm=found.norm
            )
        if not found.is_free_of_cancellation():
            raise CancellationError(
                "the factors' terms cancel one another", module=found.module, terms=found.terms, norm=found.norm
            )
    return measured


def compute_residuals(
    spec: AdapterSpec, stacks: Sequence[bytes], proposal: bytes, updates: int = 1
) -> tuple[ModuleResidual, ...]:
    """Measure a proposal of rank `updates` · r against the sum of `stacks`.

    Raises `AdapterFileError` for bytes that are not this adapter's or have another rank, `NotStackedError`.
    """
    if spec.mode is not AdapterMode.STACK or not stacks:
        raise NotStackedError("only stacks can be re-factored", mode=spec.mode.name, stacks=len(stacks))
    require_layout(BytesSource(proposal), compute_aggregate_layout(spec, updates))
    offered = decode_aggregate(proposal, spec)
    there = [decode_aggregate(stack, spec) for stack in stacks]
    return tuple(_measure(module.name, there, offered) for module in spec.modules)


def _measure(module: str, stacks: Sequence[Tensors], proposal: Tensors) -> ModuleResidual:
    """With [B, B'] and [A; A'] side by side, every block of the products of Grams is an inner product of two parts."""
    a = np.concatenate([tensors[f"{module}.lora_A"] for tensors in (*stacks, proposal)], axis=0)
    b = np.concatenate([tensors[f"{module}.lora_B"].T for tensors in (*stacks, proposal)], axis=0)
    crossed = _compute_wide_gram(a) * _compute_wide_gram(b)
    rank = len(a) - len(proposal[f"{module}.lora_A"])
    norm = _add(crossed[:rank, :rank].flat)
    offered = _add(crossed[rank:, rank:].flat)
    shared = _add(crossed[:rank, rank:].flat)
    return ModuleResidual(module, norm - 2 * shared + offered, norm, _add(crossed.diagonal()[rank:]))


def _compute_wide_gram(matrix: NDArray[Any]) -> NDArray[Any]:
    """matrix·matrixᵀ of int32 [rank, features] as Python integers, by limbs whose sums fit int64."""
    high, low = _split(matrix)
    lows = compute_gram(low, low).astype(object)
    if not high.any():
        return lows
    mixed = compute_gram(high, low).astype(object)
    highs = compute_gram(high, high).astype(object)
    wide: NDArray[Any] = (highs * 2 ** (2 * _LIMB_BITS)) + (mixed + mixed.T) * 2**_LIMB_BITS + lows
    return wide


def _split(matrix: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """high and low with matrix = high·2**16 + low, -2**15 <= low < 2**15 and |high| <= 2**15."""
    half = 1 << (_LIMB_BITS - 1)
    low = matrix.astype(np.int16).astype(np.int32)  # the low 16 bits, with a sign
    high = (matrix >> _LIMB_BITS) + ((matrix & (half * 2 - 1)) >= half)
    return high.astype(np.int32), low


def _add(numbers: Iterable[Any]) -> int:
    return sum((int(number) for number in numbers), 0)
