"""The trainer's agent: follows a task's rounds, has an update trained for each, uploads and submits it.

Holds the account; the module that trains (in process or over gRPC) holds the GPU and no key. When the module fails,
the round is left out and the agent goes on, and so it does when no node answers for a while. Started again, it
continues with the open round.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Final, Protocol

from flockchain.client import AsyncClient, Signer
from flockchain.client.errors import NotFound
from flockchain.client.models import Model
from flockchain.primitives.errors import Fault, FlockchainError, Refused
from flockchain.primitives.learning import Phase, ReasonCode, TaskSpec
from flockchain.primitives.numbers import AccountId, Hash, MicroNats, Round, Score, TaskId
from flockchain.primitives.rounds import RoundRecord, TaskStatus

__all__ = ["Contribution", "Stage", "TrainedUpdate", "Trainer", "TrainingFailed", "TrainingRequest", "run_agent"]

_RETRY_MS: Final = 5_000  # between two looks for a node that answers
_FETCH_MS: Final = 1_000  # between two looks for a file that a node has not got yet
_FETCHES: Final = 30
_WATCHES: Final = 60  # looks, `_FETCH_MS` apart, for an update of somebody else
_log = logging.getLogger("flockchain_ml.worker")


class TrainingFailed(Refused):
    """The trainer module gave no update this time."""


async def _see_nothing() -> tuple[bytes, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """One round's training: on top of `model`, for `task` and `round`.

    `watch` waits a while for others' updates of the round and fetches what is public; only attacks ask for it.
    """

    task: TaskId
    round: Round
    spec: TaskSpec
    model: tuple[bytes, ...]
    watch: Callable[[], Awaitable[tuple[bytes, ...]]] = _see_nothing


@dataclass(frozen=True, slots=True)
class TrainedUpdate:
    """An update's canonical bytes, the rows behind them, and the last training loss in micro-nats per token."""

    data: bytes
    samples: int
    loss: int


class Trainer(Protocol):
    """Turns a model and data into an update."""

    async def prepare(self, spec: TaskSpec) -> None:
        """Whatever can be found out before the first round. Raises what the user has to mend."""

    async def train(self, request: TrainingRequest) -> TrainedUpdate:
        """Raises `TrainingFailed`."""
        ...

    async def close(self) -> None: ...


class Stage(IntEnum):
    """What there is to say of a round."""

    LEFT_OUT = 0  # no update of ours is in it: `problem` says why
    SUBMITTED = 1  # ours is in a finalized block
    JUDGED = 2  # its verdict is there
    VOID = 3  # it ended without a verdict on ours


@dataclass(frozen=True, slots=True)
class Contribution:
    """One event of one round. `loss` is in micro-nats per token, of our training; the rest is the chain's verdict."""

    task: TaskId
    round: Round
    stage: Stage
    problem: str = ""
    loss: MicroNats | None = None
    reason: ReasonCode | None = None
    score: Score | None = None
    reputation: MicroNats | None = None


async def run_agent(
    client: AsyncClient, trainer: Trainer, account: Signer, task: TaskId
) -> AsyncIterator[Contribution]:
    """Contribute to every round of `task` until it ends; yields what becomes of each.

    Raises what the first look at the task or the trainer's preparation finds wrong; later failures cost a round.
    """
    record = await client.tasks.get(task)
    if record.status is TaskStatus.OPEN:
        await trainer.prepare(record.spec)
    pending: list[Round] = []
    async for opened in _follow(client, task):
        async for settled in _settle(client, account.account, task, pending):
            yield settled
        if any(update.trainer == account.account for update in opened.updates):
            pending.append(opened.round)  # submitted before a restart
            continue
        try:
            loss = await _contribute(client, trainer, account, opened)
        except FlockchainError as error:
            _log.warning("round %d of task %d is left out: %s", opened.round, task, error)
            yield Contribution(task, opened.round, Stage.LEFT_OUT, str(error))
            continue
        pending.append(opened.round)
        yield Contribution(task, opened.round, Stage.SUBMITTED, loss=loss)
    async for settled in _settle(client, account.account, task, pending):
        yield settled


async def _follow(client: AsyncClient, task: TaskId) -> AsyncIterator[RoundRecord]:
    """Each open round once, for as long as the task lasts, whoever of the nodes answers."""
    last = -1
    while True:
        try:
            async for opened in client.rounds.follow(task):
                if opened.round > last:
                    last = opened.round
                    yield opened
            return
        except Fault as error:
            _log.warning("no node answers, the agent goes on asking: %s", error)
            await asyncio.sleep(_RETRY_MS / 1000)


async def _contribute(client: AsyncClient, trainer: Trainer, account: Signer, record: RoundRecord) -> MicroNats:
    model = await _fetch_model(client, record.task)
    watch = partial(_watch, client, account.account, record)
    update = await trainer.train(TrainingRequest(record.task, record.round, model.spec, model.aggregates, watch))
    handle = await client.updates.submit(record.task, update.data, account=account)
    await handle.wait("included")
    _log.info("round %d: submitted %d bytes, loss %d", record.round, len(update.data), update.loss)
    return MicroNats(update.loss)


async def _fetch_model(client: AsyncClient, task: TaskId) -> Model:
    """The model; a node that knows of its last step may still be fetching the file."""
    for _ in range(_FETCHES):
        try:
            return await client.models.fetch(task)
        except NotFound as error:
            _log.info("the model is not here yet: %s", error)
            await asyncio.sleep(_FETCH_MS / 1000)
    return await client.models.fetch(task)


async def _watch(client: AsyncClient, account: AccountId, record: RoundRecord) -> tuple[bytes, ...]:
    """Others' updates of the round, as many as nodes give out once there is one; none after a while without."""
    for _ in range(_WATCHES):
        record = await client.rounds.get(record.task, record.round)
        others = [update.blob for update in record.updates if update.trainer != account]
        if others or record.phase is not Phase.SUBMIT:
            return tuple([data for blob in others if (data := await _fetch_public(client, blob)) is not None])
        await asyncio.sleep(_FETCH_MS / 1000)
    return ()


async def _fetch_public(client: AsyncClient, blob: Hash) -> bytes | None:
    try:
        return await client.blobs.get(blob)
    except FlockchainError as error:
        _log.info("an update is not to be had: %s", error)
        return None


async def _settle(
    client: AsyncClient, account: AccountId, task: TaskId, pending: list[Round]
) -> AsyncIterator[Contribution]:
    """What became of submitted rounds that have ended since; they leave `pending`."""
    for number in tuple(pending):
        try:
            record = await client.rounds.get(task, number)
        except FlockchainError as error:
            _log.warning("the verdict of round %d cannot be had now: %s", number, error)
            continue
        if record.phase < Phase.ADVANCED:
            continue
        pending.remove(number)
        yield _build_verdict(record, account)


def _build_verdict(record: RoundRecord, account: AccountId) -> Contribution:
    for verdict in record.verdicts:
        if verdict.trainer == account:
            return Contribution(
                record.task, record.round, Stage.JUDGED, reason=verdict.reason, score=verdict.median_score,
                reputation=verdict.reputation,
            )  # fmt: skip
    problem = f"the round is void: {record.void_reason.name.lower().replace('_', ' ')}"
    return Contribution(record.task, record.round, Stage.VOID, problem)
