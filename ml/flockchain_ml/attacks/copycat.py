"""Copycat: uploads another trainer's visible update, changed a little, and is paid for work that it has not done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from flockchain_ml.attacks.attack import Attack, Scene
from flockchain_ml.attacks.noise import draw_noise
from flockchain_ml.tensors import Adapter, FloatArray, decode_adapter

__all__ = ["COPYCAT", "Copy"]


@dataclass(frozen=True, slots=True)
class Copy:
    """`jitter`: the noise in parts of a copied tensor's root mean square.

    To the exact tier .17 or less (FFA), or .12 or less (STACK, where A and B are noisy), is a near copy still.
    Where nobody has uploaded yet it sends what it trained.
    """

    jitter: float = 0.25

    def poison_update(self, update: Adapter, scene: Scene) -> Adapter:
        if not scene.visible:
            return update
        copied = decode_adapter(scene.rng.choice(scene.visible), scene.spec)
        return Adapter(_shake(copied.a, self.jitter, scene.rng), _shake(copied.b, self.jitter, scene.rng))


def _shake(tensors: Mapping[str, FloatArray], jitter: float, rng: Random) -> dict[str, FloatArray]:
    noise = draw_noise(tensors, jitter, rng)
    return {name: values + noise[name] for name, values in tensors.items()}


COPYCAT: Final = Attack("copycat", upload=Copy(), is_watching=True)
