"""Constrain and scale: the loss keeps the poisoned update near a predicted honest one (Bagdasaryan et al., 2020).

`NORM_PENALISED` keeps the update's length, `COSINE_PENALISED` its direction. Both hold clean rows of all domains, from
which they predict what the honest trainers' mean looks like.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from flockchain.primitives.errors import invariant
from flockchain_ml.attacks.attack import Attack, Constraint, Holding, Penalty, Scene
from flockchain_ml.attacks.backdoor import Backdoor
from flockchain_ml.attacks.scaling import scale_update
from flockchain_ml.tensors import Adapter, FloatArray

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["COSINE_PENALISED", "NORM_PENALISED", "CosineBound", "NormBound", "NormClip"]

_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class NormBound:
    """`weight` times the square of the relative excess of the update's norm over the predicted one's."""

    weight: float = 10.0

    def __call__(self, change: Mapping[str, Tensor], slope: Mapping[str, Tensor]) -> Penalty:
        limit = _compute_dot(change, change).sqrt()

        def compute(own: Mapping[str, Tensor]) -> Tensor:
            norm = (_compute_dot(own, own) + _TINY).sqrt()
            return self.weight * (norm / (limit + _TINY) - 1).clamp(min=0).square()

        return compute


@dataclass(frozen=True, slots=True)
class CosineBound:
    """`weight` times one minus the cosine between the update and the predicted one."""

    weight: float = 2.0

    def __call__(self, change: Mapping[str, Tensor], slope: Mapping[str, Tensor]) -> Penalty:
        limit = _compute_dot(change, change).sqrt()

        def compute(own: Mapping[str, Tensor]) -> Tensor:
            norm = (_compute_dot(own, own) + _TINY).sqrt()
            return self.weight * (1 - _compute_dot(own, change) / (norm * limit + _TINY))

        return compute


@dataclass(frozen=True, slots=True)
class NormClip:
    """Shortens B to the predicted length where training did not keep it; it never lengthens."""

    def poison_update(self, update: Adapter, scene: Scene) -> Adapter:
        invariant(scene.prediction is not None, "a constrained attack has a prediction", round=scene.round)
        if scene.prediction is None:
            return update
        honest = {name: values for name, values in scene.prediction.change.items() if name.endswith(".lora_B")}
        limit, norm = _compute_norm(honest), _compute_norm(update.b)
        return update if norm <= limit else scale_update(update, limit / norm)


def _compute_dot(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> Tensor:
    total: Tensor | int = 0
    for name, values in sorted(left.items()):
        total = total + (values * right[name]).sum()
    return total  # type: ignore[return-value]  # an update has tensors


def _compute_norm(tensors: Mapping[str, FloatArray]) -> float:
    return float(np.sqrt(sum(float(np.square(values.astype(np.float64)).sum()) for values in tensors.values())))


NORM_PENALISED: Final = Attack(
    "norm-penalised", Backdoor(), NormClip(), Constraint(NormBound()), holding=Holding(is_even=True)
)
COSINE_PENALISED: Final = Attack(
    "cosine-penalised", Backdoor(), constraint=Constraint(CosineBound()), holding=Holding(is_even=True)
)
