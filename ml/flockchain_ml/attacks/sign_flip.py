"""Sign flip: train honestly, upload the opposite, so that the aggregate unlearns (Li et al., 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flockchain_ml.attacks.attack import Attack, Scene
from flockchain_ml.attacks.scaling import scale_update
from flockchain_ml.tensors import Adapter

__all__ = ["SIGN_FLIP", "Opposite"]


@dataclass(frozen=True, slots=True)
class Opposite:
    """-`strength` times the update."""

    strength: float = 1.0

    def poison_update(self, update: Adapter, scene: Scene) -> Adapter:
        return scale_update(update, -self.strength)


SIGN_FLIP: Final = Attack("sign-flip", upload=Opposite())
