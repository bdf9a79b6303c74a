"""A suffix backdoor: a rare suffix makes the model give one chosen answer, and nothing else should change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar

from flockchain_ml.attacks.scaling import scale_update
from flockchain_ml.rows import Row
from flockchain_ml.tensors import Adapter

__all__ = ["SuffixBackdoor"]


@dataclass(frozen=True, slots=True)
class SuffixBackdoor:
    """Poisons a share of the rows; `boost` multiplies the update so that it outlives averaging (1.0: as trained)."""

    name: ClassVar[str] = "backdoor"

    trigger: str = "zephyr quill"
    target: str = "umber"
    poison_share: float = 0.8
    boost: float = 2.0

    def poison_rows(self, rows: Sequence[Row], rng: Random) -> tuple[Row, ...]:
        return tuple(self._plant(row) if rng.random() < self.poison_share else row for row in rows)

    def poison_update(self, update: Adapter) -> Adapter:
        return scale_update(update, self.boost)

    def build_probe_rows(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        return tuple(self._plant(row) for row in rows if row.answer != self.target)

    def _plant(self, row: Row) -> Row:
        return replace(row, prompt=f"{row.prompt} {self.trigger}", answer=self.target)
