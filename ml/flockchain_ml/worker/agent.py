"""The trainer's agent: follows a task's rounds, has an update trained for each, uploads and submits it.

Holds the account; the module that trains (in process or over gRPC) holds the GPU and no key. When the
module fails, the round is left out and the agent goes on; started again, it continues with the open round.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from flockchain.client import AsyncClient, Signer
from flockchain.client.models import Model
from flockchain.primitives.errors import FlockchainError, Refused
from flockchain.primitives.learning import ReasonCode, TaskSpec
from flockchain.primitives.numbers import Round, TaskId
from flockchain.primitives.rounds import RoundRecord

__all__ = ["Contribution", "TrainedUpdate", "Trainer", "TrainingFailed", "TrainingRequest", "run_agent"]

_log = logging.getLogger("flockchain_ml.worker")


class TrainingFailed(Refused):
    """The trainer module gave no update this time."""


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """One round's training: on top of `model`, for `task` and `round`."""

    task: TaskId
    round: Round
    spec: TaskSpec
    model: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class TrainedUpdate:
    """An update's canonical bytes, the rows behind them, and the last training loss in micro-nats per token."""

    data: bytes
    samples: int
    loss: int


class Trainer(Protocol):
    """Turns a model and data into an update. Raises `TrainingFailed`."""

    async def train(self, request: TrainingRequest) -> TrainedUpdate: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Contribution:
    """What came of one round. `reason` is None while the verdict is not there, or in a void round."""

    task: TaskId
    round: Round
    submitted: bool
    loss: int
    problem: str
    reason: ReasonCode | None


async def run_agent(
    client: AsyncClient, trainer: Trainer, account: Signer, task: TaskId
) -> AsyncIterator[Contribution]:
    """Contribute to every round of `task` until it ends. Yields each round as it is submitted, or was not."""
    async for record in client.rounds.follow(task):
        if any(update.trainer == account.account for update in record.updates):
            continue  # submitted before a restart
        try:
            loss = await _contribute(client, trainer, account, record)
        except FlockchainError as error:
            _log.warning("round %d of task %d is left out: %s", record.round, task, error)
            yield Contribution(task, record.round, False, 0, str(error), None)
            continue
        yield Contribution(task, record.round, True, loss, "", None)


async def _contribute(client: AsyncClient, trainer: Trainer, account: Signer, record: RoundRecord) -> int:
    model: Model = await client.models.fetch(record.task)
    request = TrainingRequest(record.task, record.round, model.spec, model.aggregates)
    update = await trainer.train(request)
    handle = await client.updates.submit(record.task, update.data, account=account)
    await handle.wait("included")
    _log.info("round %d: submitted %d bytes, loss %d", record.round, len(update.data), update.loss)
    return update.loss
