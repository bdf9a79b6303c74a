"""A trainer in the agent's own process, for one machine with one account."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flockchain.primitives.errors import Fault, InvalidInput
from flockchain.primitives.learning import TaskSpec
from flockchain_ml.attacks import Attack
from flockchain_ml.data import compute_seed
from flockchain_ml.models import LoadedModel, Quantisation, load_model, require_fit, tokenise_rows
from flockchain_ml.rows import Row
from flockchain_ml.trainer import TrainedUpdate as Trained
from flockchain_ml.trainer import TrainOrder, TrainSettings, train_update
from flockchain_ml.worker.agent import TrainedUpdate, TrainingFailed, TrainingRequest
from flockchain_ml.worker.failures import describe_failure
from flockchain_ml.worker.trainer_service import compute_loss
from flockchain_ml.worker.turns import Job

__all__ = ["LocalTrainer", "LocalTrainerConfig"]

_log = logging.getLogger("flockchain_ml.worker")


@dataclass(frozen=True, slots=True)
class LocalTrainerConfig:
    """The base model's folder, our rows, and how and where to train."""

    model: Path
    rows: tuple[Row, ...]
    seed: int
    settings: TrainSettings
    attack: Attack | None = None
    quantisation: Quantisation = Quantisation.NONE
    device: str = "cpu"
    threads: int = 1


class LocalTrainer:
    """Holds the base from `prepare` to `close`. A cancelled training stops at its next step."""

    def __init__(self, config: LocalTrainerConfig) -> None:
        self._config = config
        self._loaded: LoadedModel | None = None

    async def prepare(self, spec: TaskSpec) -> None:
        """Load the base and look at the rows. Raises what is wrong with either, in the words of `models`."""
        await asyncio.to_thread(self._load, spec)

    async def close(self) -> None:
        self._loaded = None

    async def train(self, request: TrainingRequest) -> TrainedUpdate:
        """Train in a thread. Raises `TrainingFailed`."""
        attack = self._config.attack
        is_watching = attack is not None and attack.is_watching and attack.is_active(request.round)
        visible = await request.watch() if is_watching else ()
        job: Job[int, Trained] = Job(lambda report: self._train(request, visible, report))
        try:
            trained = await job.result()
        except (InvalidInput, Fault, RuntimeError, MemoryError) as error:
            raise TrainingFailed(f"training failed: {describe_failure(error)}") from error
        finally:
            job.cancel()
        return TrainedUpdate(trained.update, len(self._config.rows), compute_loss(trained.losses))

    def _load(self, spec: TaskSpec) -> LoadedModel:
        if self._loaded is None:
            config = self._config
            loaded = load_model(
                config.model, quantisation=config.quantisation, device=config.device, expected=spec.base_model,
                threads=config.threads,
            )  # fmt: skip
            require_fit(loaded, spec.adapter)
            if not config.settings.row_tokens_max:
                tokenise_rows(loaded.tokenizer, config.rows, tokens_max=loaded.tokens_max)  # says which is too long
            self._loaded = loaded
        return self._loaded

    def _train(self, request: TrainingRequest, visible: tuple[bytes, ...], report: Callable[[int], None]) -> Trained:
        config = self._config
        order = TrainOrder(
            spec=request.spec.adapter, lineage=request.model, rows=config.rows, round=request.round,
            seed=compute_seed(config.seed, request.task, request.round), settings=config.settings,
            attack=config.attack, trainers=request.spec.max_updates, visible=visible,
        )  # fmt: skip
        return train_update(self._load(request.spec), order, lambda step, _: report(step))
