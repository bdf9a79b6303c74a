"""How much of an update lies along one direction: an exact stand-in for the share of the top singular value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from flockchain_ml.probes.probe import PARTS, IntegerTensors
from flockchain_ml.probes.products import compute_traces, list_modules

__all__ = ["Concentration"]


@dataclass(frozen=True, slots=True)
class Concentration:
    """The mean over modules of PARTS · tr(G²) / tr(G)², the inverse participation ratio of the squared singular values.

    1024: one direction only; 1024 / rank: all directions alike; 0: nothing there. No eigenvalue is computed, so nothing
    has to converge.
    """

    name: ClassVar[str] = "concentration"

    def compute_statistics(self, updates: Sequence[IntegerTensors]) -> tuple[int, ...]:
        modules = list_modules(updates)
        return tuple(_compute_mean_share(update, modules) for update in updates)


def _compute_mean_share(update: IntegerTensors, modules: Sequence[str]) -> int:
    shares = []
    for module in modules:
        trace, trace_of_square = compute_traces(update, module)
        shares.append(PARTS * trace_of_square // (trace * trace) if trace else 0)
    return sum(shares) // len(shares) if shares else 0
