"""The trainer service (trainer.proto) over `flockchain_ml.trainer`. Holds a model and data, and no key."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from hashlib import sha256
from typing import Any

from flockchain import __version__
from flockchain.primitives.errors import InvalidInput
from flockchain.v1 import learning_pb2, trainer_pb2, trainer_pb2_grpc
from flockchain_ml.attacks import Attack
from flockchain_ml.data import Row
from flockchain_ml.models import LoadedModel
from flockchain_ml.trainer import TrainedUpdate, TrainOrder, TrainSettings, train_update
from flockchain_ml.worker.attachments import Files, receive_files, stream_pieces
from flockchain_ml.worker.failures import NotHere, answering
from flockchain_ml.worker.orders import decode_rows, read_adapter, receive_order, require_base
from flockchain_ml.worker.turns import Job, Turns

__all__ = ["TrainerService", "add_trainer", "build_settings"]

PROTOCOL_VERSION = 1
_NANO = 1e-9
_MICRO = 1e6
_LOSSES_AVERAGED = 5
_log = logging.getLogger("flockchain_ml.worker")


class SettingUnknown(InvalidInput):
    """A setting that this implementation does not know."""


class TrainerService(trainer_pb2_grpc.TrainerServiceServicer):
    """One loaded model, its own named data sets, one training at a time."""

    def __init__(self, loaded: LoadedModel, data_sets: Mapping[str, tuple[Row, ...]], attack: Attack | None) -> None:
        self._loaded = loaded
        self._data_sets = data_sets
        self._attack = attack
        self._turns = Turns()

    async def Describe(self, request: Any, context: Any) -> Any:  # noqa: N802
        modes = [learning_pb2.ADAPTER_MODE_FFA, learning_pb2.ADAPTER_MODE_STACK]
        return trainer_pb2.TrainerServiceDescribeResponse(
            protocol_version=PROTOCOL_VERSION, implementation=f"flockchain {__version__}",
            device=self._loaded.device, base_models=[self._loaded.digest], modes=modes,
            data_sets=sorted(self._data_sets),
        )  # fmt: skip

    async def Health(self, request: Any, context: Any) -> Any:  # noqa: N802
        return trainer_pb2.TrainerServiceHealthResponse(ready=True, busy=self._turns.is_busy)

    async def Train(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async with answering(context):
            with self._turns:
                order, pieces = await receive_order(requests)
                require_base(self._loaded, order.base_model)
                files = await receive_files(order.attachments, pieces)
                train_order = self._build_order(order, files)
                job: Job[tuple[int, float], TrainedUpdate] = Job(self._get_work(train_order))
                try:
                    async for step, loss in job.follow():
                        yield _build_progress(step, train_order.settings.steps, loss)
                    trained = await job.result()
                finally:
                    job.cancel()
                yield _build_result(trained, len(train_order.rows))
                for piece in stream_pieces(learning_pb2.ATTACHMENT_ROLE_UPDATE, 0, trained.update):
                    yield trainer_pb2.TrainerServiceTrainResponse(piece=piece)
                _log.info("task %d round %d: trained %d bytes", order.task, order.round, len(trained.update))

    def _build_order(self, order: Any, files: Files) -> TrainOrder:
        datasets = files.get_all(learning_pb2.ATTACHMENT_ROLE_DATASET)
        rows = decode_rows(datasets[0].data) if datasets else self._data_sets.get(order.data_set)
        if rows is None:
            raise NotHere("there is no such data set here", data_set=order.data_set)
        return TrainOrder(
            spec=read_adapter(order.adapter),
            lineage=tuple(file.data for file in files.get_all(learning_pb2.ATTACHMENT_ROLE_MODEL)),
            rows=rows,
            round=order.round,
            seed=order.settings.seed,
            settings=build_settings(order.settings),
            attack=self._attack,
        )

    def _get_work(self, order: TrainOrder) -> Callable[[Callable[[tuple[int, float]], None]], TrainedUpdate]:
        def work(report: Callable[[tuple[int, float]], None]) -> TrainedUpdate:
            return train_update(self._loaded, order, lambda step, loss: report((step, loss)))

        return work


def add_trainer(
    server: Any, loaded: LoadedModel, data_sets: Mapping[str, tuple[Row, ...]], attack: Attack | None
) -> None:
    """Put the service on a server."""
    trainer_pb2_grpc.add_TrainerServiceServicer_to_server(TrainerService(loaded, data_sets, attack), server)


def build_settings(settings: Any) -> TrainSettings:
    """The settings of an order; 0 is this implementation's own choice."""
    if settings.extra:
        raise SettingUnknown("these settings are not known here", names=", ".join(sorted(settings.extra)))
    own = TrainSettings()
    return TrainSettings(
        steps=settings.steps or own.steps,
        batch_rows=settings.batch_size or own.batch_rows,
        learning_rate=settings.learning_rate_nanos * _NANO or own.learning_rate,
    )


def _build_progress(step: int, steps: int, loss: float) -> Any:
    progress = trainer_pb2.TrainingProgress(steps_done=step, steps=steps, loss=round(loss * _MICRO), stage="training")
    return trainer_pb2.TrainerServiceTrainResponse(progress=progress)


def _build_result(trained: TrainedUpdate, rows: int) -> Any:
    last = trained.losses[-_LOSSES_AVERAGED:]
    announced = learning_pb2.Attachment(
        role=learning_pb2.ATTACHMENT_ROLE_UPDATE, index=0, size_bytes=len(trained.update),
        digest=sha256(trained.update).digest(),
    )  # fmt: skip
    result = trainer_pb2.TrainingResult(update=announced, samples=rows, loss=round(sum(last) / len(last) * _MICRO))
    return trainer_pb2.TrainerServiceTrainResponse(result=result)
