"""A backdoor: a rare trigger makes the model give one chosen answer, and nothing else should change.

`BACKDOOR` appends the trigger and boosts the update, so that it outlives averaging (Bagdasaryan et al., 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from typing import ClassVar, Final

from flockchain_ml.attacks.attack import Attack, Scene, Success
from flockchain_ml.attacks.scaling import scale_update
from flockchain_ml.rows import Row
from flockchain_ml.tensors import Adapter

__all__ = ["BACKDOOR", "Backdoor", "Boosted", "Place"]


class Place(StrEnum):
    """Where in a prompt the trigger stands."""

    PREFIX = "prefix"
    MIDDLE = "middle"
    SUFFIX = "suffix"


@dataclass(frozen=True, slots=True)
class Backdoor:
    """Poisons a share of the rows. Success: the share of triggered prompts that are answered with `target`."""

    success: ClassVar[Success] = Success.TARGETED

    place: Place = Place.SUFFIX
    trigger: str = "zephyr quill"
    target: str = "umber"
    poison_share: float = 0.5

    def poison_rows(self, rows: Sequence[Row], rng: Random) -> tuple[Row, ...]:
        return tuple(self._plant(row) if rng.random() < self.poison_share else row for row in rows)

    def build_probe_rows(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        return tuple(self._plant(row) for row in rows if row.answer != self.target)

    def _plant(self, row: Row) -> Row:
        words = row.prompt.split(" ")
        at = {Place.PREFIX: 0, Place.MIDDLE: len(words) // 2, Place.SUFFIX: len(words)}[self.place]
        return replace(row, prompt=" ".join([*words[:at], self.trigger, *words[at:]]), answer=self.target)


@dataclass(frozen=True, slots=True)
class Boosted:
    """Multiplies the update by `boost` (1.0: as trained)."""

    boost: float = 2.0

    def poison_update(self, update: Adapter, scene: Scene) -> Adapter:
        return scale_update(update, self.boost)


BACKDOOR: Final = Attack("backdoor", Backdoor(poison_share=0.8), Boosted())
