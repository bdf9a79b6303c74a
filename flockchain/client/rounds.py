"""`client.rounds`: rounds of a task, as they open, are judged and end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from flockchain.client.errors import DeadlineExceeded, NotFound
from flockchain.client.tasks import Tasks
from flockchain.client.transport import Transport
from flockchain.primitives.learning import Phase
from flockchain.primitives.numbers import Round, TaskId
from flockchain.primitives.rounds import ROUND_RECORD, RoundRecord, TaskStatus
from flockchain.v1 import rounds_pb2
from flockchain.v1.rounds_pb2_grpc import RoundServiceStub

__all__ = ["Rounds"]


class Rounds:
    """Who submitted, who judges, what was found."""

    def __init__(self, transport: Transport, tasks: Tasks) -> None:
        self._transport = transport
        self._tasks = tasks

    async def get(self, task: TaskId | int, round: Round | int | None = None) -> RoundRecord:
        """One round of a task, the current one by default. Raises `NotFound`."""
        message = await self._transport.call(
            lambda used: used.get(RoundServiceStub).GetRound, rounds_pb2.GetRoundRequest(task=task, round=round)
        )
        return ROUND_RECORD.decode(message.round.record_bytes_canonical)

    async def wait(
        self, task: TaskId | int, round: Round | int, phase: Phase = Phase.ADVANCED, *, timeout_s: int = 600
    ) -> RoundRecord:
        """Until the round is in `phase` or later, or has ended: a void round never advances, so look at `phase`."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + timeout_s
        while True:
            try:
                record = await self.get(task, round)
                if record.phase >= phase:
                    return record
            except NotFound:
                await self._tasks.get(task)  # a round may be opened later; a task must be there
            if loop.time() >= ends:
                raise DeadlineExceeded("the round has not come so far", task=task, round=round, timeout_s=timeout_s)
            await asyncio.sleep(self._transport.timing.poll_ms / 1000)

    async def follow(self, task: TaskId | int) -> AsyncIterator[RoundRecord]:
        """Every round that is open for updates, once each, as it opens; ends with the task.

            async for open_round in client.rounds.follow(task):
                ...train and submit...

        A round that opened and closed while the caller was busy is left out.
        """
        seen: Round | None = None
        while True:
            record = await self._tasks.get(task)
            if seen is None or record.round > seen:
                try:
                    current = await self.get(task, record.round)
                except NotFound:
                    current = None
                if current is not None and current.phase is Phase.SUBMIT:
                    seen = current.round
                    yield current
                    continue
            if record.status is not TaskStatus.OPEN:
                return
            await asyncio.sleep(self._transport.timing.poll_ms / 1000)
