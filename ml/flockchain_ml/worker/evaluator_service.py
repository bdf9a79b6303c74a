"""The evaluator service (evaluator.proto) over `flockchain_ml.evaluation`. Holds a model and no key."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from flockchain import __version__
from flockchain.exact import compute_aggregate, decode_update
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AdapterMode
from flockchain.v1 import evaluator_pb2, evaluator_pb2_grpc, learning_pb2
from flockchain_ml.evaluation import EvaluateOrder, Evaluation, evaluate_updates
from flockchain_ml.models import LoadedModel, tokenise_rows
from flockchain_ml.worker.attachments import AttachmentRefused, Files, receive_files
from flockchain_ml.worker.failures import answering
from flockchain_ml.worker.orders import decode_rows, read_adapter, receive_order, require_base
from flockchain_ml.worker.turns import Job, Turns

__all__ = ["EvaluatorService", "add_evaluator"]

PROTOCOL_VERSION = 1
_log = logging.getLogger("flockchain_ml.worker")


class CandidateMismatch(InvalidInput):
    """The candidate that came with an order is not the exact aggregate of its updates."""


class EvaluatorService(evaluator_pb2_grpc.EvaluatorServiceServicer):
    """One loaded model, one evaluation at a time."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._turns = Turns()

    async def Describe(self, request: Any, context: Any) -> Any:  # noqa: N802
        modes = [learning_pb2.ADAPTER_MODE_FFA, learning_pb2.ADAPTER_MODE_STACK]
        return evaluator_pb2.EvaluatorServiceDescribeResponse(
            protocol_version=PROTOCOL_VERSION, implementation=f"flockchain {__version__}",
            device=self._loaded.device, base_models=[self._loaded.digest], modes=modes,
        )  # fmt: skip

    async def Health(self, request: Any, context: Any) -> Any:  # noqa: N802
        return evaluator_pb2.EvaluatorServiceHealthResponse(ready=True, busy=self._turns.is_busy)

    async def Evaluate(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async with answering(context):
            with self._turns:
                order, pieces = await receive_order(requests)
                require_base(self._loaded, order.base_model)
                files = await receive_files(order.attachments, pieces)
                evaluate_order = _build_order(order, files)
                job: Job[tuple[int, int], Evaluation] = Job(self._get_work(evaluate_order))
                try:
                    async for done, rows in job.follow():
                        yield _build_progress(done, rows)
                    evaluation = await job.result()
                finally:
                    job.cancel()
                yield self._build_result(evaluate_order, files, evaluation)
                _log.info("task %d round %d: %d updates scored", order.task, order.round, len(evaluate_order.updates))

    def _get_work(self, order: EvaluateOrder) -> Callable[[Callable[[tuple[int, int]], None]], Evaluation]:
        def work(report: Callable[[tuple[int, int]], None]) -> Evaluation:
            return evaluate_updates(self._loaded, order, lambda done, rows: report((done, rows)))

        return work

    def _build_result(self, order: EvaluateOrder, files: Files, evaluation: Evaluation) -> Any:
        updates = files.get_all(learning_pb2.ATTACHMENT_ROLE_UPDATE)
        scores = [
            evaluator_pb2.EvaluationScore(update_index=file.index, score=score)
            for file, score in zip(updates, evaluation.scores, strict=True)
        ]
        tokenised = tokenise_rows(self._loaded.tokenizer, [*order.rows], tokens_max=self._loaded.tokens_max)
        tokens = sum(len(row.answer) for row in tokenised)
        return evaluator_pb2.EvaluatorServiceEvaluateResponse(
            result=evaluator_pb2.EvaluationResult(scores=scores, prompt_losses=evaluation.losses, tokens=tokens)
        )


def add_evaluator(server: Any, loaded: LoadedModel) -> None:
    """Put the service on a server."""
    evaluator_pb2_grpc.add_EvaluatorServiceServicer_to_server(EvaluatorService(loaded), server)


def _build_order(order: Any, files: Files) -> EvaluateOrder:
    """Everything is decoded and checked against the task's shape before torch sees any of it."""
    spec = read_adapter(order.adapter)
    model = tuple(file.data for file in files.get_all(learning_pb2.ATTACHMENT_ROLE_MODEL))
    updates = tuple(file.data for file in files.get_all(learning_pb2.ATTACHMENT_ROLE_UPDATE))
    for update in updates:
        decode_update(update, spec)
    previous = model[-1] if model and spec.mode is AdapterMode.FFA else None
    candidate = files.require_one(learning_pb2.ATTACHMENT_ROLE_CANDIDATE)
    if compute_aggregate(spec, previous, updates) != candidate:
        raise CandidateMismatch("the candidate is not the aggregate of the updates", updates=len(updates))
    rows = decode_rows(files.require_one(learning_pb2.ATTACHMENT_ROLE_PROMPTS))
    if len(rows) != len(order.prompt_rows):
        raise AttachmentRefused("there is one prompt for each drawn row", wanted=len(order.prompt_rows), got=len(rows))
    return EvaluateOrder(spec=spec, lineage=model, updates=updates, rows=rows)


def _build_progress(done: int, rows: int) -> Any:
    progress = evaluator_pb2.EvaluationProgress(prompts_done=done, prompts=rows, stage="scoring")
    return evaluator_pb2.EvaluatorServiceEvaluateResponse(progress=progress)
