"""The evaluator module of this validator: dialled, watched, asked, and never trusted.

An evaluator is another process, perhaps in another language, perhaps hung or dead. An answer that is not exactly what
`evaluator.proto` promises is dropped with a typed error, as is silence; the caller then abstains or asks again. Knows
the proto and this protocol's limits on scores; does not know rounds, votes or keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import grpc
import grpc.aio

from flockchain.exact import STACK_EXTRA_SCALE_BITS
from flockchain.node.config import EvaluatorConfig
from flockchain.primitives.errors import InvalidInput, Refused
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain.primitives.limits import CHUNK_BYTES, MIB
from flockchain.primitives.numbers import Hash, MicroNats, Round, Score, TaskId
from flockchain.rpc.messages import build_adapter
from flockchain.v1 import evaluator_pb2, evaluator_pb2_grpc, learning_pb2

__all__ = [
    "EvaluationAnswer", "EvaluationJob", "EvaluatorClient", "EvaluatorFailed", "EvaluatorSilent", "GarbageAnswer",
    "NoEvaluator",
]  # fmt: skip

PROTOCOL_VERSION: Final = 1
_END: Final[Any] = vars(grpc.aio)["EOF"]
SCORE_MAX: Final = 10**12  # micro-nats, either sign
_REPLY_BYTES_MAX: Final = 8 * MIB
_WATCH_MS: Final = 2_000
_HEALTH_TIMEOUT_MS: Final = 3_000
_OPTIONS: Final[list[tuple[str, Any]]] = [
    ("grpc.max_receive_message_length", _REPLY_BYTES_MAX),
    ("grpc.max_send_message_length", CHUNK_BYTES + 4 * MIB),
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]


class NoEvaluator(Refused):
    """This validator has no evaluator, or it is not ready now."""


class EvaluatorFailed(Refused):
    """The evaluator refused the order, failed, or died on the way."""


class EvaluatorSilent(EvaluatorFailed):
    """Nothing was heard for too long, or it took too long altogether."""


class GarbageAnswer(InvalidInput):
    """The evaluator answered something that its contract does not allow."""


@dataclass(frozen=True, slots=True)
class EvaluationJob:
    """One round to judge. `updates` are (position in the closed set, bytes), ascending; `prompts` are JSON lines.

    `model` are aggregate files, oldest first; `candidate` is the exact aggregate of all of `updates`.
    """

    task: TaskId
    round: Round
    base_model: Hash
    adapter: AdapterSpec
    prompt_rows: tuple[int, ...]
    model: tuple[bytes, ...]
    updates: tuple[tuple[int, bytes], ...]
    candidate: bytes
    prompts: bytes


@dataclass(frozen=True, slots=True)
class EvaluationAnswer:
    """`scores` in the order of the job's updates, None where the evaluator abstained.

    `losses`: one per prompt, or none where it abstained throughout.
    """

    scores: tuple[Score | None, ...]
    losses: tuple[MicroNats, ...]


@dataclass(frozen=True, slots=True)
class EvaluatorDescription:
    """What the evaluator says of itself, for logs and for refusing early."""

    implementation: str
    device: str
    base_models: frozenset[bytes]
    modes: frozenset[AdapterMode]


class EvaluatorClient:
    """One evaluator. `start` begins to watch it; it may come and go as it likes."""

    def __init__(self, config: EvaluatorConfig, on_change: Callable[[bool, str], None]) -> None:
        self._config = config
        self._on_change = on_change
        self._channel: Any = None
        self._stub: Any = None
        self._watch: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()  # the contract: one evaluation at a time
        self._became_ready = asyncio.Event()
        self.description: EvaluatorDescription | None = None

    @property
    def is_configured(self) -> bool:
        """Whether node.toml names an evaluator."""
        return bool(self._config.address)

    @property
    def is_ready(self) -> bool:
        """Whether it answered the last health question."""
        return self._became_ready.is_set()

    async def start(self) -> None:
        """Dial and watch; does nothing without an address."""
        if not self.is_configured:
            return
        self._channel = grpc.aio.insecure_channel(self._config.address, options=_OPTIONS)
        self._stub = evaluator_pb2_grpc.EvaluatorServiceStub(self._channel)
        self._watch = asyncio.create_task(self._watch_for_ever())

    async def stop(self) -> None:
        """Stop watching and hang up."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self._channel is not None:
            await self._channel.close(None)

    async def wait_ready(self, timeout_ms: int) -> bool:
        """Whether the evaluator is ready within that time."""
        try:
            await asyncio.wait_for(self._became_ready.wait(), timeout_ms / 1000)
        except TimeoutError:
            return False
        return True

    async def evaluate(self, job: EvaluationJob) -> EvaluationAnswer:
        """Ask once. Raises `NoEvaluator`, `EvaluatorFailed`, `EvaluatorSilent` or `GarbageAnswer`."""
        if self._stub is None:
            raise NoEvaluator("this validator has no evaluator")
        description = self.description
        if description is None:
            raise NoEvaluator("the evaluator does not answer", address=self._config.address)
        if job.base_model not in description.base_models:
            raise EvaluatorFailed("the evaluator does not hold the base model", base_model=job.base_model)
        if job.adapter.mode not in description.modes:
            raise EvaluatorFailed("the evaluator does not know the adapter's mode", mode=job.adapter.mode.name)
        async with self._turn:
            try:
                async with asyncio.timeout(self._config.time_limit_ms / 1000):
                    result = await self._converse(job)
            except TimeoutError as error:
                raise EvaluatorSilent("the evaluator took too long", limit_ms=self._config.time_limit_ms) from error
        return _check_result(job, result)

    async def _converse(self, job: EvaluationJob) -> Any:
        """Stream the order, hear progress, return the one result."""
        call = self._stub.Evaluate(_stream_order(job, self._config))
        silence_s = self._config.silence_limit_ms / 1000
        result: Any = None
        try:
            while True:
                reply = await asyncio.wait_for(call.read(), silence_s)
                if reply is _END:
                    break
                part = _require_message(reply).WhichOneof("part")
                if result is not None or part is None:
                    raise GarbageAnswer("the evaluator speaks out of turn", part=part)
                if part == "result":
                    result = reply.result
        except TimeoutError as error:
            raise EvaluatorSilent("the evaluator is silent", limit_ms=self._config.silence_limit_ms) from error
        except grpc.aio.AioRpcError as error:
            raise EvaluatorFailed(
                "the evaluator failed", code=error.code().name, details=(error.details() or "")[:200]
            ) from error
        finally:
            call.cancel()
        if result is None:
            raise GarbageAnswer("the evaluator ended without a result")
        return result

    async def _watch_for_ever(self) -> None:
        was_ready: bool | None = None  # the first look is news in any case
        while True:
            is_ready, reason = await self._look()
            if is_ready != was_ready:
                was_ready = is_ready
                if is_ready:
                    self._became_ready.set()
                else:
                    self._became_ready.clear()
                self._on_change(is_ready, reason)
            await asyncio.sleep(_WATCH_MS / 1000)

    async def _look(self) -> tuple[bool, str]:
        """Whether the evaluator would take an order, and why not; describes it anew after a silence."""
        timeout_s = _HEALTH_TIMEOUT_MS / 1000
        try:
            if self.description is None or not self.is_ready:
                described = await self._stub.Describe(
                    evaluator_pb2.EvaluatorServiceDescribeRequest(), timeout=timeout_s, wait_for_ready=True
                )
                self.description = _read_description(_require_message(described))
            health = _require_message(
                await self._stub.Health(evaluator_pb2.EvaluatorServiceHealthRequest(), timeout=timeout_s)
            )
        except grpc.aio.AioRpcError as error:
            self.description = None
            return False, f"{error.code().name}: {(error.details() or '')[:200]}"
        except GarbageAnswer as error:
            self.description = None
            return False, str(error)
        return bool(health.ready), str(health.reason)[:200]


def _require_message(reply: Any) -> Any:
    """What the evaluator said. gRPC gives None for bytes that are no message."""
    if reply is None:
        raise GarbageAnswer("the evaluator's answer is no message")
    return reply


def _read_description(reply: Any) -> EvaluatorDescription:
    if reply.protocol_version != PROTOCOL_VERSION:
        raise GarbageAnswer("the evaluator speaks another version", ours=PROTOCOL_VERSION, its=reply.protocol_version)
    known = {int(mode) + 1: mode for mode in AdapterMode}
    return EvaluatorDescription(
        reply.implementation[:200],
        reply.device[:200],
        frozenset(reply.base_models),
        frozenset(known[number] for number in reply.modes if number in known),
    )


async def _stream_order(job: EvaluationJob, config: EvaluatorConfig) -> AsyncIterator[Any]:
    files = _list_files(job)
    attachments = [
        learning_pb2.Attachment(
            role=role, index=index, size_bytes=len(data), digest=sha256(data).digest(), b_extra_scale_bits=extra
        )
        for role, index, data, extra in files
    ]
    order = evaluator_pb2.EvaluationOrder(
        task=job.task, round=job.round, base_model=job.base_model, adapter=build_adapter(job.adapter),
        prompt_rows=job.prompt_rows, attachments=attachments, silence_limit_ms=config.silence_limit_ms,
        time_limit_ms=config.time_limit_ms,
    )  # fmt: skip
    yield evaluator_pb2.EvaluatorServiceEvaluateRequest(order=order)
    for role, index, data, _ in files:
        for offset in range(0, len(data), CHUNK_BYTES):
            piece = learning_pb2.Piece(role=role, index=index, offset=offset, data=data[offset : offset + CHUNK_BYTES])
            yield evaluator_pb2.EvaluatorServiceEvaluateRequest(piece=piece)


def _list_files(job: EvaluationJob) -> list[tuple[Any, int, bytes, int]]:
    """Role, index, bytes and extra scale of each attachment, in the order of the contract."""
    extra = STACK_EXTRA_SCALE_BITS if job.adapter.mode is AdapterMode.STACK else 0
    role = learning_pb2.AttachmentRole
    files: list[tuple[Any, int, bytes, int]] = []
    files += [(role.ATTACHMENT_ROLE_MODEL, index, data, extra) for index, data in enumerate(job.model)]
    files += [(role.ATTACHMENT_ROLE_UPDATE, index, data, 0) for index, data in job.updates]
    files.append((role.ATTACHMENT_ROLE_CANDIDATE, 0, job.candidate, extra))
    files.append((role.ATTACHMENT_ROLE_PROMPTS, 0, job.prompts, 0))
    return files


def _check_result(job: EvaluationJob, result: Any) -> EvaluationAnswer:
    """The answer, if it is one score for each update in order, and one loss for each prompt unless all abstained."""
    wanted = [index for index, _ in job.updates]
    got = [score.update_index for score in result.scores]
    if got != wanted:
        raise GarbageAnswer("scores are not of the updates that were sent", wanted=len(wanted), got=len(got))
    is_empty = not result.prompt_losses and all(score.abstained for score in result.scores)
    if len(result.prompt_losses) != len(job.prompt_rows) and not is_empty:
        raise GarbageAnswer(
            "losses are not of the prompts that were sent", wanted=len(job.prompt_rows), got=len(result.prompt_losses)
        )
    values = [score.score for score in result.scores if not score.abstained]
    worst = max((abs(value) for value in (*values, *result.prompt_losses)), default=0)
    if worst > SCORE_MAX:
        raise GarbageAnswer("a score is out of range", most=SCORE_MAX, got=worst)
    scores = tuple(None if score.abstained else Score(score.score) for score in result.scores)
    return EvaluationAnswer(scores, tuple(MicroNats(loss) for loss in result.prompt_losses))
