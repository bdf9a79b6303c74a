"""A trainer in the agent's own process, for one machine with one account."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from flockchain.primitives.errors import Fault, InvalidInput
from flockchain_ml.attacks import Attack
from flockchain_ml.data import Row, compute_seed
from flockchain_ml.models import LoadedModel, Quantisation, load_model
from flockchain_ml.trainer import TrainOrder, TrainSettings, train_update
from flockchain_ml.worker.agent import TrainedUpdate, TrainingFailed, TrainingRequest

__all__ = ["LocalTrainer", "LocalTrainerConfig"]


@dataclass(frozen=True, slots=True)
class LocalTrainerConfig:
    """The base model's folder, our rows, and how to train."""

    model: Path
    rows: tuple[Row, ...]
    seed: int
    settings: TrainSettings
    attack: Attack | None = None
    quantisation: Quantisation = Quantisation.NONE


class LocalTrainer:
    """Loads the base at the first order, when the task's digest is known."""

    def __init__(self, config: LocalTrainerConfig) -> None:
        self._config = config
        self._loaded: LoadedModel | None = None

    async def close(self) -> None:
        self._loaded = None

    async def train(self, request: TrainingRequest) -> TrainedUpdate:
        """Train in a thread. Raises `TrainingFailed`."""
        try:
            return await asyncio.to_thread(self._train, request)
        except (InvalidInput, Fault, RuntimeError) as error:
            raise TrainingFailed(f"training failed: {str(error).splitlines()[0]}") from error

    def _train(self, request: TrainingRequest) -> TrainedUpdate:
        config = self._config
        if self._loaded is None:
            self._loaded = load_model(config.model, quantisation=config.quantisation, expected=request.spec.base_model)
        order = TrainOrder(
            spec=request.spec.adapter,
            lineage=request.model,
            rows=config.rows,
            round=request.round,
            seed=compute_seed(config.seed, request.task, request.round),
            settings=config.settings,
            attack=config.attack,
        )
        trained = train_update(self._loaded, order)
        return TrainedUpdate(trained.update, len(config.rows), round(trained.losses[-1] * 1e6))
