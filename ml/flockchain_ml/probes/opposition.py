"""How far an update points away from the others, apart from how far it agrees: either can be odd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from flockchain_ml.probes.agreement import Agreement
from flockchain_ml.probes.probe import IntegerTensors

__all__ = ["Opposition"]


@dataclass(frozen=True, slots=True)
class Opposition:
    """The negative part of the agreement: 1024 for the exact opposite of the others' sum, 0 for whoever agrees."""

    name: ClassVar[str] = "opposition"

    def compute_statistics(self, updates: Sequence[IntegerTensors]) -> tuple[int, ...]:
        return tuple(max(0, -cosine) for cosine in Agreement().compute_statistics(updates))
