"""The evaluator service (evaluator.proto) over `flockchain_ml.evaluation`. Holds a model and no key."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

from flockchain import __version__
from flockchain.exact import compute_aggregate, decode_update
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain.primitives.limits import MIB
from flockchain.v1 import evaluator_pb2, evaluator_pb2_grpc, learning_pb2
from flockchain_ml.evaluation import EvaluateOrder, Evaluation, LossNotFinite, TriggerSearch, evaluate_updates
from flockchain_ml.models import LoadedModel, tokenise_rows
from flockchain_ml.worker.attachments import Files, receive_files
from flockchain_ml.worker.failures import answering
from flockchain_ml.worker.orders import (
    ORDER_MIB_MAX,
    decode_prompts,
    read_adapter,
    receive_order,
    require_base,
    require_evaluation_files,
)
from flockchain_ml.worker.pulse import Pulse
from flockchain_ml.worker.turns import Turns

__all__ = ["EvaluatorConfig", "EvaluatorService", "add_evaluator"]

PROTOCOL_VERSION: Final = 1
_MODES: Final = (learning_pb2.ADAPTER_MODE_FFA, learning_pb2.ADAPTER_MODE_STACK)
_log = logging.getLogger("flockchain_ml.worker")

Progress = tuple[str, int, int]  # stage, prompts done, prompts in all


class CandidateMismatch(InvalidInput):
    """The candidate that came with an order is not the exact aggregate of its updates."""


@dataclass(frozen=True, slots=True)
class EvaluatorConfig:
    """What this machine can take: the files of one order, and prompts in one forward; and what it looks for.

    `search`: as of `EvaluateOrder`. A committee's members look alike, or their scores differ where one finds something.
    """

    order_mib_max: int = ORDER_MIB_MAX
    batch_rows: int = 80
    search: TriggerSearch | None = None


@dataclass(frozen=True, slots=True)
class _Judgement:
    """An evaluation and the number of answer tokens behind it; without scores there is a reason."""

    evaluation: Evaluation | None
    tokens: int
    reason: str = ""


class EvaluatorService(evaluator_pb2_grpc.EvaluatorServiceServicer):
    """One loaded model, one evaluation at a time."""

    def __init__(self, loaded: LoadedModel, config: EvaluatorConfig) -> None:
        self._loaded = loaded
        self._config = config
        self._turns = Turns()

    async def Describe(self, request: Any, context: Any) -> Any:  # noqa: N802
        return evaluator_pb2.EvaluatorServiceDescribeResponse(
            protocol_version=PROTOCOL_VERSION, implementation=f"flockchain {__version__}",
            device=self._loaded.device, base_models=[self._loaded.digest], modes=_MODES,
        )  # fmt: skip

    async def Health(self, request: Any, context: Any) -> Any:  # noqa: N802
        return evaluator_pb2.EvaluatorServiceHealthResponse(ready=True, busy=self._turns.is_busy)

    async def Evaluate(self, requests: AsyncIterator[Any], context: Any) -> None:  # noqa: N802
        async with answering(context, requests):
            with self._turns.take() as turn:
                order, pieces = await receive_order(requests)
                require_base(self._loaded, order.base_model)
                spec = read_adapter(order.adapter, self._loaded)
                require_evaluation_files(order, spec, self._config.order_mib_max * MIB)
                rows = len(order.prompt_rows)
                pulse = Pulse(lambda: context.write(_build_progress("receiving", 0, rows)))
                files = await receive_files(order.attachments, pieces, pulse.beat)
                job = turn.start(self._get_work(spec, rows, files))
                async for progress in job.follow():
                    await context.write(_build_progress(*progress))
                judgement = await job.result()
                await context.write(_build_result(files.get_indexes(learning_pb2.ATTACHMENT_ROLE_UPDATE), judgement))
            _log.info("task %d round %d: %s", order.task, order.round, _describe(judgement))

    def _get_work(
        self, spec: AdapterSpec, rows: int, files: Files
    ) -> Callable[[Callable[[Progress], None]], _Judgement]:
        def work(report: Callable[[Progress], None]) -> _Judgement:
            report(("loading", 0, rows))
            order = _build_order(spec, rows, files, self._config)
            tokenised = tokenise_rows(self._loaded.tokenizer, [*order.rows], tokens_max=self._loaded.tokens_max)
            tokens = sum(len(row.answer) for row in tokenised)
            report(("scoring", 0, rows))
            try:
                evaluation = evaluate_updates(self._loaded, order, lambda done, of: report(("scoring", done, of)))
            except LossNotFinite as error:
                return _Judgement(None, tokens, str(error))
            return _Judgement(evaluation, tokens)

        return work


def add_evaluator(server: Any, loaded: LoadedModel, config: EvaluatorConfig | None = None) -> None:
    """Put the service on a server."""
    service = EvaluatorService(loaded, config or EvaluatorConfig())
    evaluator_pb2_grpc.add_EvaluatorServiceServicer_to_server(service, server)


def _build_order(spec: AdapterSpec, rows: int, files: Files, config: EvaluatorConfig) -> EvaluateOrder:
    """Everything is decoded and checked against the task's shape before torch sees any of it."""
    model = files.get_all(learning_pb2.ATTACHMENT_ROLE_MODEL)
    updates = files.get_all(learning_pb2.ATTACHMENT_ROLE_UPDATE)
    for update in updates:
        decode_update(update, spec)
    previous = model[-1] if model and spec.mode is AdapterMode.FFA else None
    if compute_aggregate(spec, previous, updates) != files.require_one(learning_pb2.ATTACHMENT_ROLE_CANDIDATE):
        raise CandidateMismatch("the candidate is not the aggregate of the updates", updates=len(updates))
    prompts = decode_prompts(files.require_one(learning_pb2.ATTACHMENT_ROLE_PROMPTS), rows)
    return EvaluateOrder(spec, model, updates, prompts, batch_rows=config.batch_rows, search=config.search)


def _build_progress(stage: str, done: int, rows: int) -> Any:
    progress = evaluator_pb2.EvaluationProgress(prompts_done=done, prompts=rows, stage=stage)
    return evaluator_pb2.EvaluatorServiceEvaluateResponse(progress=progress)


def _build_result(indexes: tuple[int, ...], judgement: _Judgement) -> Any:
    evaluation = judgement.evaluation
    if evaluation is None:
        scores = [
            evaluator_pb2.EvaluationScore(update_index=index, abstained=True, reason=judgement.reason)
            for index in indexes
        ]
    else:
        scores = [
            evaluator_pb2.EvaluationScore(update_index=index, score=score)
            for index, score in zip(indexes, evaluation.scores, strict=True)
        ]
    losses = evaluation.losses if evaluation is not None else ()
    result = evaluator_pb2.EvaluationResult(scores=scores, prompt_losses=losses, tokens=judgement.tokens)
    return evaluator_pb2.EvaluatorServiceEvaluateResponse(result=result)


def _describe(judgement: _Judgement) -> str:
    if judgement.evaluation is None:
        return f"abstained: {judgement.reason}"
    finding = judgement.evaluation.finding
    found = f", a trigger found, taught by {len(finding.guilty)}" if finding is not None else ""
    return f"{len(judgement.evaluation.scores)} updates scored{found}"
