"""What a trainer can report of its own training: the probe's scores of ΔB after every local step, and of a shadow run.

This is self-reported evidence (Safe-FedLLM, arXiv 2601.07177): a forger records a clean training and uploads another.
Knows probes and claims; no defence's memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from flockchain_ml.attacks import Report
from flockchain_ml.defences import Claim
from flockchain_ml.models import LoadedModel
from flockchain_ml.probes import LogisticProbe, compute_feature
from flockchain_ml.tensors import FloatArray
from flockchain_ml.trainer.order import TrainedUpdate, TrainOrder
from flockchain_ml.trainer.poisoning import build_shadow_order, find_active_attack
from flockchain_ml.trainer.training import train_update

__all__ = ["SHADOW_LEARNING_RATE", "StepRecorder", "record_shadow", "train_and_claim"]

SHADOW_LEARNING_RATE: Final = 5e-5


@dataclass(slots=True)
class StepRecorder:
    """Collects the feature of every step; `modules` are those of the first layer. Hand it to `train_update`."""

    modules: tuple[str, ...]
    features: list[FloatArray] = field(default_factory=list)

    def record(self, deltas: Mapping[str, FloatArray]) -> None:
        """Take ΔB of `modules` after one more step, against where the training started."""
        self.features.append(compute_feature(deltas, self.modules))


def record_shadow(loaded: LoadedModel, order: TrainOrder, modules: tuple[str, ...]) -> tuple[FloatArray, ...]:
    """The features of the shadow run: from the initial adapter, over the rows that the trainer says it trains on."""
    shadow = build_shadow_order(order)
    shadow = replace(shadow, settings=replace(shadow.settings, learning_rate=SHADOW_LEARNING_RATE))
    recorder = StepRecorder(modules)
    train_update(loaded, shadow, recorder=recorder)
    return tuple(recorder.features)


def train_and_claim(
    loaded: LoadedModel, order: TrainOrder, probe: LogisticProbe, shadow_probe: LogisticProbe | None = None
) -> tuple[TrainedUpdate, Claim]:
    """The update, and what the trainer says of itself; with a shadow run if there is a probe for it.

    An attacker who forges reports records a training on its clean rows, which costs it one training more.
    """
    modules = tuple(module.name for module in probe.modules)
    recorder, attack = StepRecorder(modules), find_active_attack(order)
    if attack is not None and attack.report is Report.CLEAN:
        trained = train_update(loaded, order)
        train_update(loaded, replace(order, attack=None), recorder=recorder)
    else:
        trained = train_update(loaded, order, recorder=recorder)
    settings = order.settings
    claim = Claim(
        samples=settings.steps * settings.batch_rows,
        batch_rows=settings.batch_rows,
        step_scores=tuple(probe.score_feature(feature) for feature in recorder.features),
    )
    if shadow_probe is None:
        return trained, claim
    features = record_shadow(loaded, order, tuple(module.name for module in shadow_probe.modules))
    return trained, replace(claim, shadow_scores=tuple(shadow_probe.score_feature(feature) for feature in features))
