"""Interspersed poison: a few poisoned rows lie in everybody's data, honest trainers' too, who do not know it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar, Final

from flockchain_ml.attacks.attack import Attack, Goal, Holding, Success
from flockchain_ml.attacks.backdoor import Backdoor
from flockchain_ml.rows import Row

__all__ = ["INTERSPERSED", "Planted"]

_PLANTED: Final = Backdoor(poison_share=0.03)


@dataclass(frozen=True, slots=True)
class Planted:
    """Trains on its rows as they lie there. Success is that of what was planted in them."""

    success: ClassVar[Success] = Success.TARGETED

    planted: Goal = field(default=_PLANTED)

    def poison_rows(self, rows: Sequence[Row], rng: Random) -> tuple[Row, ...]:
        return tuple(rows)

    def build_probe_rows(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        return self.planted.build_probe_rows(rows)


INTERSPERSED: Final = Attack("interspersed", Planted(), holding=Holding(planted=_PLANTED))
