"""Sign flip: train honestly, upload the opposite, so that the aggregate unlearns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from flockchain_ml.attacks.scaling import scale_update
from flockchain_ml.rows import Row
from flockchain_ml.tensors import Adapter

__all__ = ["SignFlip"]


@dataclass(frozen=True, slots=True)
class SignFlip:
    """Uploads -`strength` times the honest update. Its success shows as lost accuracy: there are no probe rows."""

    name: ClassVar[str] = "sign-flip"

    strength: float = 1.0

    def poison_rows(self, rows: Sequence[Row], rng: Random) -> tuple[Row, ...]:
        return tuple(rows)

    def poison_update(self, update: Adapter) -> Adapter:
        return scale_update(update, -self.strength)

    def build_probe_rows(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        return ()
