"""Local LoRA training: an order in, the canonical bytes of an update out. Knows no chain and no key."""

from __future__ import annotations

from flockchain_ml.trainer.order import OnStep, OrderInvalid, TrainedUpdate, TrainOrder, TrainSettings
from flockchain_ml.trainer.training import TrainingDiverged, train_update

__all__ = ["OnStep", "OrderInvalid", "TrainOrder", "TrainSettings", "TrainedUpdate", "TrainingDiverged", "train_update"]
