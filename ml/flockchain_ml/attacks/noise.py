"""Noise: Gaussian values in place of what was trained, some times as long as it (Blanchard et al., 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

import numpy as np

from flockchain_ml.attacks.attack import Attack, Scene
from flockchain_ml.tensors import Adapter, FloatArray

__all__ = ["NOISE", "Noise", "draw_noise"]

_SEED_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Noise:
    """Every B becomes noise of `strength` times its own root mean square; A stays."""

    strength: float = 10.0

    def poison_update(self, update: Adapter, scene: Scene) -> Adapter:
        return Adapter(update.a, draw_noise(update.b, self.strength, scene.rng))


def draw_noise(like: Mapping[str, FloatArray], strength: float, rng: Random) -> dict[str, FloatArray]:
    """Gaussian values of the same shapes; each tensor's root mean square is about `strength` times the given one's."""
    generator = np.random.default_rng(rng.getrandbits(_SEED_BITS))
    drawn = {}
    for name, values in sorted(like.items()):
        scale = strength * float(np.sqrt(np.square(values.astype(np.float64)).mean()))
        drawn[name] = generator.normal(0.0, scale, values.shape).astype(np.float32)
    return drawn


NOISE: Final = Attack("noise", upload=Noise())
