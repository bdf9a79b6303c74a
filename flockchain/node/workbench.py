"""Does the work orders of `flockchain.duties`: fetch a blob, have updates judged, add them up.

Every order is answered exactly once, with a result or a failure; the duty core decides what follows. Blobs are read
and written on the event loop (the store has one thread), arithmetic runs in a worker thread, scores come from the
evaluator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from flockchain.duties import (
    Aggregate,
    AggregateDone,
    AggregateFailed,
    AggregateOrder,
    BlobFailed,
    BlobFetched,
    DutyResult,
    Evaluate,
    EvaluateDone,
    EvaluateFailed,
    EvaluateOrder,
    FetchBlob,
)
from flockchain.exact import compute_aggregate
from flockchain.node.blob_exchange import BlobExchange
from flockchain.node.evaluators import EvaluationAnswer, EvaluatorClient
from flockchain.node.exact_work import Preparation, prepare_evaluation
from flockchain.primitives.errors import FlockchainError
from flockchain.primitives.learning import UpdateStatus
from flockchain.storage.blobs import BlobStore

__all__ = ["Workbench"]

T = TypeVar("T")
_READY_WAIT_MS: Final = 5_000  # for an evaluator that is just coming back


class Workbench:
    """Orders in, results out by `on_done`, all on one event loop."""

    def __init__(
        self, blobs: BlobStore, exchange: BlobExchange, evaluator: EvaluatorClient,
        on_done: Callable[[DutyResult], None], log: Any,
    ) -> None:  # fmt: skip
        self._blobs = blobs
        self._exchange = exchange
        self._evaluator = evaluator
        self._on_done = on_done
        self._log = log
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="exact")
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, order: FetchBlob | Evaluate | Aggregate) -> None:
        """Begin with an order."""
        if isinstance(order, FetchBlob):
            self._spawn(self._fetch(order))
        elif isinstance(order, Evaluate):
            self._spawn(self._evaluate(order.order))
        else:
            self._spawn(self._aggregate(order.order))

    async def stop(self) -> None:
        """Drop what is under way; it is ordered again after the next start."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _fetch(self, order: FetchBlob) -> None:
        try:
            await self._exchange.fetch(order.root, order.size_bytes)
        except FlockchainError as error:
            self._log.info("blob not fetched", root=order.root, reason=str(error))
            self._on_done(BlobFailed(order.root))
            return
        self._on_done(BlobFetched(order.root))

    async def _evaluate(self, order: EvaluateOrder) -> None:
        findings: tuple[UpdateStatus | None, ...] = ()
        try:
            prepared = await self._prepare(order)
            findings = prepared.findings
            answer = await self._ask(prepared)
        except FlockchainError as error:
            self._log.warning("evaluation failed", task=order.task, round=order.round, reason=str(error))
            self._on_done(EvaluateFailed(order.task, order.round, findings))
            return
        scores = iter(answer.scores)
        by_update = tuple(next(scores) if finding is None else None for finding in findings)
        self._log.info("evaluated", task=order.task, round=order.round, scores=by_update)
        self._on_done(EvaluateDone(order.task, order.round, findings, by_update, answer.losses))

    async def _prepare(self, order: EvaluateOrder) -> Preparation:
        lineage = [self._blobs.read(blob.root) for blob in order.lineage]
        suite = self._blobs.read(order.suite.root)
        updates = [
            self._blobs.read(update.blob) if is_available and self._blobs.has(update.blob) else None
            for update, is_available in zip(order.updates, order.is_available, strict=True)
        ]
        return await self._compute(prepare_evaluation, order, lineage, suite, updates)

    async def _ask(self, prepared: Preparation) -> EvaluationAnswer:
        if prepared.job is None:
            return EvaluationAnswer((), ())
        if self._evaluator.is_configured:
            await self._evaluator.wait_ready(_READY_WAIT_MS)
        return await self._evaluator.evaluate(prepared.job)

    async def _aggregate(self, order: AggregateOrder) -> None:
        try:
            previous = None if order.previous is None else self._blobs.read(order.previous.root)
            updates = [self._blobs.read(blob.root) for blob in order.updates]
            data = await self._compute(compute_aggregate, order.adapter, previous, updates)
            root = self._blobs.put(data)
        except FlockchainError as error:
            self._log.warning("aggregation failed", task=order.task, round=order.round, reason=str(error))
            self._on_done(AggregateFailed(order.task, order.round))
            return
        self._log.info("aggregated", task=order.task, round=order.round, aggregate=root, bytes=len(data))
        self._on_done(AggregateDone(order.task, order.round, root, len(data)))

    async def _compute(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.error("a work order broke", error=repr(error))
