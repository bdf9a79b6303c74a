"""A trainer module over gRPC, as the agent sees it: dialled, asked, and checked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import grpc
import grpc.aio

from flockchain.exact import STACK_EXTRA_SCALE_BITS, compute_update_bytes, decode_update
from flockchain.primitives.errors import Fault, InvalidInput, Refused
from flockchain.primitives.learning import AdapterMode, TaskSpec
from flockchain.primitives.limits import CHUNK_BYTES, MIB
from flockchain.rpc.messages import build_adapter
from flockchain.v1 import learning_pb2, trainer_pb2, trainer_pb2_grpc
from flockchain_ml.data import compute_seed
from flockchain_ml.worker.agent import TrainedUpdate, TrainingFailed, TrainingRequest
from flockchain_ml.worker.attachments import receive_files, stream_pieces

__all__ = ["ModuleUnfit", "ModuleUnreachable", "RemoteTrainer", "RemoteTrainerConfig"]

PROTOCOL_VERSION: Final = 1
_LOSS_MAX: Final = 10**12  # micro-nats
_OPTIONS: Final = [
    ("grpc.max_receive_message_length", CHUNK_BYTES + 4 * MIB),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]
_END: Final[Any] = vars(grpc.aio)["EOF"]
_log = logging.getLogger("flockchain_ml.worker")


class ModuleUnreachable(Fault):
    """No trainer module answers at its address."""


class ModuleUnfit(Refused):
    """The module cannot train for this task."""


@dataclass(frozen=True, slots=True)
class RemoteTrainerConfig:
    """Where the module listens, how it should train, and how long it may take. 0: its own choice."""

    address: str
    dataset: bytes | None  # JSON lines to send, or None: the module's own `data_set`
    data_set: str = ""
    steps: int = 0
    batch_size: int = 0
    learning_rate_nanos: int = 0
    row_tokens_max: int = 0
    seed: int = 0
    start_limit_ms: int = 30_000
    silence_limit_ms: int = 120_000
    time_limit_ms: int = 3_600_000


class RemoteTrainer:
    """One module. Nothing of its answer is believed before it is decoded as an update of the task."""

    def __init__(self, config: RemoteTrainerConfig) -> None:
        self._config = config
        self._channel = grpc.aio.insecure_channel(config.address, options=_OPTIONS)
        self._stub: Any = trainer_pb2_grpc.TrainerServiceStub(self._channel)

    async def close(self) -> None:
        await self._channel.close(None)

    async def prepare(self, spec: TaskSpec) -> None:
        """Ask what the module can do. Raises `ModuleUnreachable`, `ModuleUnfit`."""
        try:
            described = await self._stub.Describe(
                trainer_pb2.TrainerServiceDescribeRequest(), timeout=self._config.start_limit_ms / 1000,
                wait_for_ready=True,
            )  # fmt: skip
        except grpc.aio.AioRpcError as error:
            raise ModuleUnreachable(
                "the trainer module does not answer", address=self._config.address, code=error.code().name
            ) from error
        if described is None or described.protocol_version != PROTOCOL_VERSION:
            raise ModuleUnfit(
                "the module speaks another version", ours=PROTOCOL_VERSION,
                its=None if described is None else described.protocol_version,
            )  # fmt: skip
        if spec.base_model not in described.base_models:
            raise ModuleUnfit("the module does not hold the task's base model", base_model=spec.base_model)
        if spec.adapter.mode + 1 not in described.modes:
            raise ModuleUnfit("the module does not know the adapter's mode", mode=spec.adapter.mode.name)
        if self._config.dataset is None and self._config.data_set not in described.data_sets:
            raise ModuleUnfit("the module has no such data set: give --data", data_set=self._config.data_set)

    async def train(self, request: TrainingRequest) -> TrainedUpdate:
        """Ask once, when the module is there. Raises `TrainingFailed` for whatever is not exactly one update."""
        try:
            await self.prepare(request.spec)
        except (ModuleUnreachable, ModuleUnfit) as error:
            raise TrainingFailed(str(error)) from error
        call = self._stub.Train(self._stream(request))
        try:
            async with asyncio.timeout(self._config.time_limit_ms / 1000):
                return await self._converse(call, request)
        except InvalidInput as error:
            raise TrainingFailed(f"the trainer answered garbage: {error}") from error
        except TimeoutError as error:
            raise TrainingFailed("the trainer took too long", limit_ms=self._config.time_limit_ms) from error
        except grpc.aio.AioRpcError as error:
            reason = (error.details() or "no reason given")[:200]
            raise TrainingFailed(f"the trainer failed: {reason}", code=error.code().name) from error
        finally:
            call.cancel()

    async def _converse(self, call: Any, request: TrainingRequest) -> TrainedUpdate:
        result = await self._hear_result(call)
        wanted = compute_update_bytes(request.spec.adapter)
        announced = result.update
        if (announced.role, announced.index, announced.size_bytes) != (_UPDATE, 0, wanted):
            raise InvalidInput("not the one update of the task", wanted_bytes=wanted, got_bytes=announced.size_bytes)
        if abs(result.loss) > _LOSS_MAX:
            raise InvalidInput("a loss is out of range", most=_LOSS_MAX, got=result.loss)
        files = await receive_files([announced], self._hear_pieces(call))
        data = files.require_one(_UPDATE)
        decode_update(data, request.spec.adapter)
        return TrainedUpdate(data, result.samples, result.loss)

    async def _hear_result(self, call: Any) -> Any:
        while True:
            reply = await self._read(call)
            part = None if reply is _END else reply.WhichOneof("part")
            if part == "result":
                return reply.result
            if part != "progress":
                raise InvalidInput("the trainer ended without a result", part=part)

    async def _hear_pieces(self, call: Any) -> AsyncIterator[Any]:
        while (reply := await self._read(call)) is not _END:
            if reply.WhichOneof("part") != "piece":
                raise InvalidInput("the trainer speaks out of turn", part=reply.WhichOneof("part"))
            yield reply.piece

    async def _read(self, call: Any) -> Any:
        try:
            reply = await asyncio.wait_for(call.read(), self._config.silence_limit_ms / 1000)
        except TimeoutError as error:
            raise TrainingFailed("the trainer is silent", limit_ms=self._config.silence_limit_ms) from error
        if reply is None:  # gRPC's word for bytes that are no message
            raise InvalidInput("the trainer's answer is no message")
        return reply

    async def _stream(self, request: TrainingRequest) -> AsyncIterator[Any]:
        config = self._config
        extra = STACK_EXTRA_SCALE_BITS if request.spec.adapter.mode is AdapterMode.STACK else 0
        files = [(learning_pb2.ATTACHMENT_ROLE_MODEL, index, data, extra) for index, data in enumerate(request.model)]
        if config.dataset is not None:
            files.append((learning_pb2.ATTACHMENT_ROLE_DATASET, 0, config.dataset, 0))
        order = trainer_pb2.TrainingOrder(
            task=request.task, round=request.round, base_model=request.spec.base_model,
            adapter=build_adapter(request.spec.adapter), data_set=config.data_set,
            settings=trainer_pb2.TrainingSettings(
                steps=config.steps, batch_size=config.batch_size, learning_rate_nanos=config.learning_rate_nanos,
                row_tokens_max=config.row_tokens_max,
                seed=compute_seed(config.seed, request.task, request.round),
            ),
            attachments=[
                learning_pb2.Attachment(
                    role=kind, index=index, size_bytes=len(data), digest=sha256(data).digest(), b_extra_scale_bits=bits
                )
                for kind, index, data, bits in files
            ],
        )  # fmt: skip
        yield trainer_pb2.TrainerServiceTrainRequest(order=order)
        for kind, index, data, _ in files:
            for piece in stream_pieces(kind, index, data):
                yield trainer_pb2.TrainerServiceTrainRequest(piece=piece)


_UPDATE: Final = learning_pb2.ATTACHMENT_ROLE_UPDATE
