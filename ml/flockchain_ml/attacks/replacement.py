"""Scaled replacement: n/η times the update, so that the mean is the attacker's model (Bagdasaryan et al., 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flockchain_ml.attacks.attack import Attack, Scene
from flockchain_ml.attacks.backdoor import Backdoor
from flockchain_ml.attacks.scaling import scale_update
from flockchain_ml.tensors import Adapter

__all__ = ["REPLACEMENT", "Replacement"]


@dataclass(frozen=True, slots=True)
class Replacement:
    """`server_rate` is η; `guessed_trainers` is n where the number of trainers is unknown."""

    server_rate: float = 1.0
    guessed_trainers: int = 10

    def poison_update(self, update: Adapter, scene: Scene) -> Adapter:
        return scale_update(update, (scene.trainers or self.guessed_trainers) / self.server_rate)


REPLACEMENT: Final = Attack("replacement", Backdoor(), Replacement())
