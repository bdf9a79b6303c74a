"""A trainer module over gRPC, as the agent sees it: dialled, asked, and checked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import grpc
import grpc.aio

from flockchain.exact import STACK_EXTRA_SCALE_BITS, AdapterFileError, decode_update
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AdapterMode
from flockchain.primitives.limits import CHUNK_BYTES, MIB
from flockchain.rpc.messages import build_adapter
from flockchain.v1 import learning_pb2, trainer_pb2, trainer_pb2_grpc
from flockchain_ml.worker.agent import TrainedUpdate, TrainingFailed, TrainingRequest
from flockchain_ml.worker.attachments import receive_files, stream_pieces

__all__ = ["RemoteTrainer", "RemoteTrainerConfig"]

_OPTIONS: Final = [("grpc.max_receive_message_length", CHUNK_BYTES + 4 * MIB), ("grpc.enable_http_proxy", 0)]
_END: Final[Any] = vars(grpc.aio)["EOF"]


@dataclass(frozen=True, slots=True)
class RemoteTrainerConfig:
    """Where the module listens, how it should train, and how long it may be silent. 0: its own choice."""

    address: str
    dataset: bytes | None  # JSON lines to send, or None: the module's own `data_set`
    data_set: str = ""
    steps: int = 0
    batch_size: int = 0
    learning_rate_nanos: int = 0
    seed: int = 0
    silence_limit_ms: int = 60_000


class RemoteTrainer:
    """One module. Nothing of its answer is believed before it is decoded as an update of the task."""

    def __init__(self, config: RemoteTrainerConfig) -> None:
        self._config = config
        self._channel = grpc.aio.insecure_channel(config.address, options=_OPTIONS)
        self._stub: Any = trainer_pb2_grpc.TrainerServiceStub(self._channel)

    async def close(self) -> None:
        await self._channel.close(None)

    async def train(self, request: TrainingRequest) -> TrainedUpdate:
        """Ask once. Raises `TrainingFailed` for whatever is not exactly one canonical update of the task."""
        call = self._stub.Train(self._stream(request))
        try:
            result = await self._hear_result(call)
            files = await receive_files([result.update], self._hear_pieces(call))
            data = files.require_one(learning_pb2.ATTACHMENT_ROLE_UPDATE)
            decode_update(data, request.spec.adapter)
        except (InvalidInput, AdapterFileError) as error:
            raise TrainingFailed(f"the trainer answered garbage: {error}") from error
        except TimeoutError as error:
            raise TrainingFailed("the trainer is silent", limit_ms=self._config.silence_limit_ms) from error
        except grpc.aio.AioRpcError as error:
            raise TrainingFailed(
                f"the trainer failed: {(error.details() or '')[:200]}", code=error.code().name
            ) from error
        finally:
            call.cancel()
        return TrainedUpdate(data, result.samples, result.loss)

    async def _hear_result(self, call: Any) -> Any:
        while True:
            reply = await self._read(call)
            part = None if reply is _END else reply.WhichOneof("part")
            if part == "result":
                if reply.result.update.size_bytes > 256 * MIB:
                    raise InvalidInput("the trainer announces too large an update", got=reply.result.update.size_bytes)
                return reply.result
            if part != "progress":
                raise InvalidInput("the trainer ended without a result", part=part)

    async def _hear_pieces(self, call: Any) -> AsyncIterator[Any]:
        while (reply := await self._read(call)) is not _END:
            if reply.WhichOneof("part") != "piece":
                raise InvalidInput("the trainer speaks out of turn", part=reply.WhichOneof("part"))
            yield reply.piece

    async def _read(self, call: Any) -> Any:
        return await asyncio.wait_for(call.read(), self._config.silence_limit_ms / 1000)

    async def _stream(self, request: TrainingRequest) -> AsyncIterator[Any]:
        role, config = learning_pb2.AttachmentRole, self._config
        extra = STACK_EXTRA_SCALE_BITS if request.spec.adapter.mode is AdapterMode.STACK else 0
        files = [(role.ATTACHMENT_ROLE_MODEL, index, data, extra) for index, data in enumerate(request.model)]
        if config.dataset is not None:
            files.append((role.ATTACHMENT_ROLE_DATASET, 0, config.dataset, 0))
        order = trainer_pb2.TrainingOrder(
            task=request.task, round=request.round, base_model=request.spec.base_model,
            adapter=build_adapter(request.spec.adapter), data_set=config.data_set,
            settings=trainer_pb2.TrainingSettings(
                steps=config.steps, batch_size=config.batch_size, learning_rate_nanos=config.learning_rate_nanos,
                seed=config.seed,
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
