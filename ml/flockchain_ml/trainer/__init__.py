"""Local LoRA training: an order in, the canonical bytes of an update out. Knows no chain and no key."""

from __future__ import annotations

from flockchain_ml.trainer.order import OnStep, OrderInvalid, Recorder, TrainedUpdate, TrainOrder, TrainSettings
from flockchain_ml.trainer.poisoning import build_shadow_order
from flockchain_ml.trainer.recording import (
    SHADOW_LEARNING_RATE,
    StepRecorder,
    record_shadow,
    train_and_claim,
)
from flockchain_ml.trainer.training import TrainingDiverged, train_update

__all__ = [
    "SHADOW_LEARNING_RATE", "OnStep", "OrderInvalid", "Recorder", "StepRecorder", "TrainOrder", "TrainSettings",
    "TrainedUpdate", "TrainingDiverged", "build_shadow_order", "record_shadow", "train_and_claim",
    "train_update",
]  # fmt: skip
