"""Optimises the published vote itself: poison whose predicted leave-one-out score is not negative.

The attacker knows the first-order rule s = (mean(g) - g_i) / (n - 1) with g_i = <slope, update_i>, and the suite's
domains. With others predicted to send `honest`, its own score is s = <slope, honest - own> / n, so s >= 0 is the
linear constraint <slope, own> <= <slope, honest>. Training follows the Lagrangian with a multiplier that rises while
the constraint is broken; what is uploaded is projected onto it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from flockchain.primitives.errors import invariant
from flockchain_ml.attacks.attack import Attack, Constraint, Holding, Penalty, Prediction, Scene
from flockchain_ml.attacks.backdoor import Backdoor
from flockchain_ml.tensors import Adapter, FloatArray

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["VOTE_OPTIMISED", "VoteBound", "VoteProjection", "compute_predicted_score"]

_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class VoteBound:
    """The Lagrangian's term. `margin` is in parts of the predicted honest gain; `dual_rate` is the multiplier's."""

    margin: float = 0.1
    dual_rate: float = 0.2

    def __call__(self, change: Mapping[str, Tensor], slope: Mapping[str, Tensor]) -> Penalty:
        limit = sum((slope[name] * values).sum() for name, values in sorted(change.items()))
        unit = sum((slope[name] * values).abs().sum() for name, values in sorted(change.items()))
        multiplier = 0.0

        def compute(own: Mapping[str, Tensor]) -> Tensor:
            nonlocal multiplier
            value = sum((slope[name] * values).sum() for name, values in sorted(own.items()))
            violation: Tensor = (value - limit) / (unit + _TINY) + self.margin  # type: ignore[assignment]
            multiplier = max(0.0, multiplier + self.dual_rate * float(violation.detach()))
            return multiplier * violation

        return compute


@dataclass(frozen=True, slots=True)
class VoteProjection:
    """The nearest update, by B, whose predicted score is at least zero."""

    def poison_update(self, update: Adapter, scene: Scene) -> Adapter:
        invariant(scene.prediction is not None, "a constrained attack has a prediction", round=scene.round)
        if scene.prediction is None:
            return update
        excess = -compute_predicted_score(update, scene.prediction)
        slope = {name: scene.prediction.slope[f"{name}.lora_B"] for name in update.b}
        length = sum(float(np.square(values.astype(np.float64)).sum()) for values in slope.values())
        if excess <= 0 or length == 0:
            return update
        return Adapter(
            update.a, {name: _step(values, slope[name], excess / length) for name, values in update.b.items()}
        )


def compute_predicted_score(update: Adapter, prediction: Prediction) -> float:
    """The score that the update would get, times the number of updates, in nats."""
    change = prediction.compute_change(update)
    return float(
        sum(
            (slope.astype(np.float64) * (prediction.change[name].astype(np.float64) - change[name])).sum()
            for name, slope in sorted(prediction.slope.items())
        )
    )


def _step(values: FloatArray, slope: FloatArray, size: float) -> FloatArray:
    moved: FloatArray = (values.astype(np.float64) - size * slope.astype(np.float64)).astype(np.float32)
    return moved


VOTE_OPTIMISED: Final = Attack(
    "vote-optimised",
    Backdoor(),
    VoteProjection(),
    Constraint(VoteBound(), watches_vote=True, mean_share=0.55, own_share=0.3),
    holding=Holding(is_even=True, times=4),
)
