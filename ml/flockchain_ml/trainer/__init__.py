"""Local LoRA training: an order in, the canonical bytes of an update out. Knows no chain and no key."""

from __future__ import annotations

from flockchain_ml.trainer.order import OnStep, OrderInvalid, Recorder, TrainedUpdate, TrainOrder, TrainSettings
from flockchain_ml.trainer.poisoning import build_shadow_order
from flockchain_ml.trainer.recording import (
    SHADOW_LEARNING_RATE,
    StepRecorder,
    record_shadow,
    record_shadows,
    train_and_claim,
    train_and_claim_all,
)
from flockchain_ml.trainer.training import TOGETHER_MAX, TrainingDiverged, train_update, train_updates

__all__ = [
    "SHADOW_LEARNING_RATE", "TOGETHER_MAX", "OnStep", "OrderInvalid", "Recorder", "StepRecorder", "TrainOrder",
    "TrainSettings", "TrainedUpdate", "TrainingDiverged", "build_shadow_order", "record_shadow", "record_shadows",
    "train_and_claim", "train_and_claim_all", "train_update", "train_updates",
]  # fmt: skip
