"""What an update changes in a layer, in exact integers: norms and traces of its matrix B or B·A.

With A in the update (STACK) everything is said of the product B·A, so that moving a factor from B to A hides nothing;
without (FFA) of B, since A is common. Only Gram matrices of rank size are ever multiplied: no product is built.
Gram matrices and inner products are `flockchain.exact`'s; what is multiplied after them is a Python integer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flockchain.exact import compute_gram, compute_inner_product
from flockchain_ml.probes.probe import IntegerTensors

__all__ = ["compute_squared_norm", "compute_traces", "list_modules"]

_A: Final = ".lora_A"
_B: Final = ".lora_B"


def list_modules(updates: Sequence[IntegerTensors]) -> tuple[str, ...]:
    """The adapted modules, ascending; those of the first update, for a round's updates have the same ones."""
    return tuple(sorted(name.removesuffix(_B) for name in updates[0] if name.endswith(_B))) if updates else ()


def compute_squared_norm(update: IntegerTensors, module: str) -> int:
    """The square of the Frobenius norm."""
    return compute_inner_product(update, update, module)


def compute_traces(update: IntegerTensors, module: str) -> tuple[int, int]:
    """(tr G, tr G²) for G = (BA)ᵀBA, or BᵀB: the sums of its singular values' second and fourth powers."""
    a, b = module + _A, module + _B
    gram = compute_gram(update[b].T, update[b].T).astype(object)
    if a in update:
        gram = gram @ compute_gram(update[a], update[a]).astype(object)
    return int(gram.trace()), int((gram * gram.T).sum())
