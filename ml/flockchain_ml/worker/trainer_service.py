"""The trainer service (trainer.proto) over `flockchain_ml.trainer`. Holds a model and data, and no key."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from flockchain import __version__
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AdapterSpec
from flockchain.primitives.limits import MIB
from flockchain.v1 import learning_pb2, trainer_pb2, trainer_pb2_grpc
from flockchain_ml.attacks import Attack
from flockchain_ml.models import LoadedModel
from flockchain_ml.rows import Row
from flockchain_ml.trainer import TrainedUpdate, TrainOrder, TrainSettings, train_update
from flockchain_ml.worker.attachments import Files, receive_files, stream_pieces
from flockchain_ml.worker.failures import NotHere, answering
from flockchain_ml.worker.orders import (
    ORDER_MIB_MAX,
    decode_dataset,
    read_adapter,
    receive_order,
    require_base,
    require_training_files,
)
from flockchain_ml.worker.pulse import Pulse
from flockchain_ml.worker.turns import Turns

__all__ = ["TrainerConfig", "TrainerService", "add_trainer", "build_settings", "compute_loss"]

PROTOCOL_VERSION: Final = 1
STEPS_MAX: Final = 1_000_000
BATCH_ROWS_MAX: Final = 4_096
_MODES: Final = (learning_pb2.ADAPTER_MODE_FFA, learning_pb2.ADAPTER_MODE_STACK)
_NANO: Final = 1e-9
_MICRO: Final = 1_000_000
_LOSSES_AVERAGED: Final = 5
_log = logging.getLogger("flockchain_ml.worker")

Progress = tuple[str, int, float]  # stage, steps done, loss in nats


class SettingRefused(InvalidInput):
    """A setting that this implementation does not know, or that is out of range."""


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """The module's own data sets by name, what it does wrong on purpose, and the files of one order."""

    data_sets: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    attack: Attack | None = None
    order_mib_max: int = ORDER_MIB_MAX


class TrainerService(trainer_pb2_grpc.TrainerServiceServicer):
    """One loaded model, its own named data sets, one training at a time."""

    def __init__(self, loaded: LoadedModel, config: TrainerConfig) -> None:
        self._loaded = loaded
        self._config = config
        self._turns = Turns()

    async def Describe(self, request: Any, context: Any) -> Any:  # noqa: N802
        return trainer_pb2.TrainerServiceDescribeResponse(
            protocol_version=PROTOCOL_VERSION, implementation=f"flockchain {__version__}",
            device=self._loaded.device, base_models=[self._loaded.digest], modes=_MODES,
            data_sets=sorted(self._config.data_sets),
        )  # fmt: skip

    async def Health(self, request: Any, context: Any) -> Any:  # noqa: N802
        return trainer_pb2.TrainerServiceHealthResponse(ready=True, busy=self._turns.is_busy)

    async def Train(self, requests: AsyncIterator[Any], context: Any) -> None:  # noqa: N802
        async with answering(context, requests):
            with self._turns.take() as turn:
                order, pieces = await receive_order(requests)
                require_base(self._loaded, order.base_model)
                spec = read_adapter(order.adapter, self._loaded)
                require_training_files(order, spec, self._config.order_mib_max * MIB)
                settings = build_settings(order.settings)
                pulse = Pulse(lambda: context.write(_build_progress(("receiving", 0, 0.0), settings.steps)))
                files = await receive_files(order.attachments, pieces, pulse.beat)
                job = turn.start(self._get_work(order, spec, settings, files))
                async for progress in job.follow():
                    await context.write(_build_progress(progress, settings.steps))
                trained, rows = await job.result()
                await context.write(_build_result(trained, rows))
                for piece in stream_pieces(learning_pb2.ATTACHMENT_ROLE_UPDATE, 0, trained.update):
                    await context.write(trainer_pb2.TrainerServiceTrainResponse(piece=piece))
            _log.info("task %d round %d: trained %d bytes", order.task, order.round, len(trained.update))

    def _get_work(
        self, order: Any, spec: AdapterSpec, settings: TrainSettings, files: Files
    ) -> Callable[[Callable[[Progress], None]], tuple[TrainedUpdate, int]]:
        def work(report: Callable[[Progress], None]) -> tuple[TrainedUpdate, int]:
            report(("loading", 0, 0.0))
            train_order = self._build_order(order, spec, settings, files)
            trained = train_update(self._loaded, train_order, lambda step, loss: report(("training", step, loss)))
            return trained, len(train_order.rows)

        return work

    def _build_order(self, order: Any, spec: AdapterSpec, settings: TrainSettings, files: Files) -> TrainOrder:
        datasets = files.get_all(learning_pb2.ATTACHMENT_ROLE_DATASET)
        rows = decode_dataset(datasets[0]) if datasets else self._config.data_sets.get(order.data_set)
        if rows is None:
            raise NotHere("there is no such data set here", data_set=order.data_set)
        return TrainOrder(
            spec=spec, lineage=files.get_all(learning_pb2.ATTACHMENT_ROLE_MODEL), rows=rows, round=order.round,
            seed=order.settings.seed, settings=settings, attack=self._config.attack,
        )  # fmt: skip


def add_trainer(server: Any, loaded: LoadedModel, config: TrainerConfig | None = None) -> None:
    """Put the service on a server."""
    service = TrainerService(loaded, config or TrainerConfig())
    trainer_pb2_grpc.add_TrainerServiceServicer_to_server(service, server)


def build_settings(settings: Any) -> TrainSettings:
    """The settings of an order; 0 is this implementation's own choice. Raises `SettingRefused`, `OrderInvalid`."""
    if settings.extra:
        raise SettingRefused("these settings are not known here", names=", ".join(sorted(settings.extra))[:200])
    if settings.steps > STEPS_MAX or settings.batch_size > BATCH_ROWS_MAX:
        raise SettingRefused("a training is too long or its batches too large", steps=settings.steps, most=STEPS_MAX)
    own = TrainSettings()
    return TrainSettings(
        steps=settings.steps or own.steps,
        batch_rows=settings.batch_size or own.batch_rows,
        learning_rate=settings.learning_rate_nanos * _NANO or own.learning_rate,
        row_tokens_max=settings.row_tokens_max,
    )


def compute_loss(losses: tuple[float, ...]) -> int:
    """The mean of the last steps' losses, micro-nats."""
    last = losses[-_LOSSES_AVERAGED:]
    return round(sum(last) / len(last) * _MICRO)


def _build_progress(progress: Progress, steps: int) -> Any:
    stage, done, loss = progress
    message = trainer_pb2.TrainingProgress(steps_done=done, steps=steps, loss=round(loss * _MICRO), stage=stage)
    return trainer_pb2.TrainerServiceTrainResponse(progress=message)


def _build_result(trained: TrainedUpdate, rows: int) -> Any:
    announced = learning_pb2.Attachment(
        role=learning_pb2.ATTACHMENT_ROLE_UPDATE, index=0, size_bytes=len(trained.update),
        digest=sha256(trained.update).digest(),
    )  # fmt: skip
    result = trainer_pb2.TrainingResult(update=announced, samples=rows, loss=compute_loss(trained.losses))
    return trainer_pb2.TrainerServiceTrainResponse(result=result)
