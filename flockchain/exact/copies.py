"""Copies and near copies among a round's updates, by integers (PROTOCOL §4, exact tier).

Compared is what an update changes in the model: x = all its modules' B·A in STACK, where B starts at zero, and all its
ΔB in FFA, where A is common; in real values, so that each module counts by its own scale. Update j is a near copy of an
earlier update i when the cosine of the two is at least 63/64:

    <x_i, x_j> > 0    and    64² · <x_i, x_j>² >= 63² · ‖x_i‖² · ‖x_j‖²

or when both change nothing. So neither A's common start, nor an update's length, nor which of the many pairs (B, A) of
one product it is matters. Noise under about 18% of the copied change is seen through: in STACK, 12% of each of A and B.
What is not found: a copy with more noise than that, wherever it lies, even where no input of the model ever points; one
with its sign turned, which is the opposite change; a mixture of several updates; a copy trained on for long.

It knows tensors in the round's order; not who sent them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isqrt
from typing import Final

from flockchain.exact.adapter_file import Tensors
from flockchain.exact.products import compute_inner_product
from flockchain.primitives.learning import AdapterMode, AdapterSpec

__all__ = ["NEAR_COPY_COSINE", "Originals", "compute_copied_index"]

NEAR_COPY_COSINE: Final = (63, 64)


@dataclass(frozen=True, slots=True)
class _Reading:
    """An update and ‖x‖², in parts by module."""

    tensors: Tensors
    squares: tuple[int, ...]
    square: int


@dataclass(slots=True)
class Originals:
    """Updates of one round that are no copies of one another, in its order. Each one's norm is computed once."""

    adapter: AdapterSpec
    _shifts: Mapping[str, int] = field(init=False)
    _known: list[_Reading] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._shifts = _compute_shifts(self.adapter)

    def find_copied(self, update: Tensors) -> int | None:
        """The place, among those kept, of the first that `update` is a copy or near copy of. If of none, it is kept."""
        own = _read(self._shifts, update)
        for index, other in enumerate(self._known):
            if _is_near(self._shifts, own, other):
                return index
        self._known.append(own)
        return None


def compute_copied_index(adapter: AdapterSpec, earlier: Sequence[Tensors], update: Tensors) -> int | None:
    """The index in `earlier` of the first update that `update` is a copy or a near copy of, or None."""
    shifts = _compute_shifts(adapter)
    own = _read(shifts, update)
    return next((index for index, other in enumerate(earlier) if _is_near(shifts, own, _read(shifts, other))), None)


def _is_near(shifts: Mapping[str, int], left: _Reading, right: _Reading) -> bool:
    """The rule, exactly. Ends as soon as nothing in the modules left could make the two near (Cauchy-Schwarz)."""
    if left.square == 0 or right.square == 0:
        return left.square == right.square
    dot, left_rest, right_rest = 0, left.square, right.square
    for at, (module, shift) in enumerate(shifts.items()):
        dot += compute_inner_product(left.tensors, right.tensors, module) << shift
        left_rest -= left.squares[at]
        right_rest -= right.squares[at]
        most = dot + isqrt(left_rest * right_rest)  # the rest is an integer: it is at most the root's floor
        if not _is_cosine_near(most, left.square, right.square):
            return False
    return True


def _is_cosine_near(dot: int, left_square: int, right_square: int) -> bool:
    part, whole = NEAR_COPY_COSINE
    return dot > 0 and (whole * dot) ** 2 >= part**2 * left_square * right_square


def _read(shifts: Mapping[str, int], update: Tensors) -> _Reading:
    squares = tuple(compute_inner_product(update, update, module) << shift for module, shift in shifts.items())
    return _Reading(update, squares, sum(squares))


def _compute_shifts(adapter: AdapterSpec) -> dict[str, int]:
    """By module, how many bits bring its inner products to the scale of the finest module's."""
    has_a = adapter.mode is AdapterMode.STACK
    bits = {m.name: m.b_scale_bits + (m.a_scale_bits if has_a else 0) for m in adapter.modules}
    finest = max(bits.values())
    return {name: 2 * (finest - own) for name, own in bits.items()}
