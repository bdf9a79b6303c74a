"""`client.updates`: submit an update and follow what becomes of it. Idempotent by the content's digest."""

from __future__ import annotations

import asyncio
from typing import Final, Literal

from flockchain.client import calls
from flockchain.client.account import Signer
from flockchain.client.blobs import Blobs
from flockchain.client.errors import DeadlineExceeded, NotFound
from flockchain.client.extrinsics import ExtrinsicHandle, Extrinsics
from flockchain.client.records import UpdateState
from flockchain.client.rounds import Rounds
from flockchain.client.tasks import Tasks
from flockchain.client.transport import Transport
from flockchain.crypto.hashing import sha256
from flockchain.primitives.errors import InvalidInput, Refused
from flockchain.primitives.learning import Phase
from flockchain.primitives.numbers import AccountId, Hash, Round, TaskId
from flockchain.primitives.rounds import RoundRecord, TaskStatus
from flockchain.v1 import updates_pb2
from flockchain.v1.updates_pb2_grpc import UpdateServiceStub

__all__ = ["RoundClosed", "Stage", "UpdateHandle", "Updates"]

Stage = Literal["included", "closed", "judged", "advanced"]

_PHASE_OF_STAGE: Final[dict[str, Phase]] = {
    "included": Phase.SUBMIT,
    "closed": Phase.COMMIT,
    "judged": Phase.AGGREGATE,
    "advanced": Phase.ADVANCED,
}


class RoundClosed(Refused):
    """The task takes no updates now."""


class UpdateHandle:
    """An update on its way through a round."""

    def __init__(
        self, updates: Updates, task: TaskId, digest: Hash, trainer: AccountId, round: Round,
        extrinsic: ExtrinsicHandle | None,
    ) -> None:  # fmt: skip
        self._updates = updates
        self._extrinsic = extrinsic
        self.task = task
        self.digest = digest
        self.trainer = trainer
        self.round = round  # the round that was open; the update's own is in the state that `wait` returns

    async def wait(self, stage: Stage = "judged", *, timeout_s: int = 600) -> UpdateState:
        """Until the update has come so far:

            included   its extrinsic is in a finalized block
            closed     its round takes no more updates
            judged     its verdict is there
            advanced   its round's aggregate is certified and the model has moved

        A round can end void instead; then the state has `phase` VOID. Raises `ExtrinsicFailed` when the chain
        refused it, `DeadlineExceeded` after `timeout_s`.
        """
        phase = _PHASE_OF_STAGE.get(stage)
        if phase is None:
            raise InvalidInput("no such stage to wait for", stage=stage, known=", ".join(_PHASE_OF_STAGE))
        loop = asyncio.get_running_loop()
        ends = loop.time() + timeout_s
        while True:
            try:
                state = await self._updates.find(self.task, self.digest, trainer=self.trainer)
                if state.phase >= phase:
                    return state
            except NotFound:
                await self._wait_for_extrinsic(max(1, int(ends - loop.time())))
            if loop.time() >= ends:
                raise DeadlineExceeded("the update has not come so far", stage=stage, timeout_s=timeout_s)
            await self._updates.pause()

    async def _wait_for_extrinsic(self, timeout_s: int) -> None:
        if self._extrinsic is not None:
            await self._extrinsic.wait(timeout_s)
            self._extrinsic = None


class Updates:
    """A trainer's way into a round."""

    def __init__(
        self, transport: Transport, tasks: Tasks, rounds: Rounds, blobs: Blobs, extrinsics: Extrinsics
    ) -> None:
        self._transport = transport
        self._tasks = tasks
        self._rounds = rounds
        self._blobs = blobs
        self._extrinsics = extrinsics
        self._pending: dict[tuple[TaskId, Round, Hash, AccountId], UpdateHandle] = {}

    async def submit(self, task: TaskId | int, data: bytes, *, account: Signer) -> UpdateHandle:
        """Upload an update to every reachable node of the client, then commit to it on the chain.

            handle = await client.updates.submit(task, data, account=account)
            state = await handle.wait("judged")

        The same bytes again in the same round give a handle to the same update and send nothing twice. Raises
        `RoundClosed`, `InvalidInput` for more bytes than the task allows, and what `extrinsics.submit` raises.
        """
        record = await self._tasks.get(task)
        if len(data) > record.spec.max_update_bytes:
            raise InvalidInput(
                "the update is larger than its task allows", most=record.spec.max_update_bytes, got=len(data)
            )
        current = await self._rounds.get(task)
        digest = sha256(data)
        key = (record.task, current.round, digest, account.account)
        known = self._pending.get(key) or await self._find_handle(current, digest, account.account)
        if known is not None:
            return known
        if record.status is not TaskStatus.OPEN or current.phase is not Phase.SUBMIT:
            raise RoundClosed("the task takes no updates now", task=task, round=current.round, phase=current.phase.name)
        root = await self._blobs.put(data, task=record.task)
        call = calls.submit_update(record.task, current.round, root, len(data), digest)
        extrinsic = await self._extrinsics.submit(call, account=account)
        self._pending = {seen: handle for seen, handle in self._pending.items() if seen[1] >= current.round}
        handle = UpdateHandle(self, record.task, digest, account.account, current.round, extrinsic)
        self._pending[key] = handle
        return handle

    async def find(
        self, task: TaskId | int, digest: Hash | bytes, *, trainer: AccountId | bytes = b"",
        round: Round | int | None = None,
    ) -> UpdateState:  # fmt: skip
        """The latest update of a task with these bytes, by SHA-256. Raises `NotFound`."""
        message = await self._transport.call(
            lambda used: used.get(UpdateServiceStub).FindUpdate,
            updates_pb2.FindUpdateRequest(task=task, digest=digest, trainer=trainer, round=round),
        )
        return UpdateState.from_message(TaskId(task), message)

    async def pause(self) -> None:
        """The interval between two looks."""
        await asyncio.sleep(self._transport.timing.poll_ms / 1000)

    async def _find_handle(self, current: RoundRecord, digest: Hash, trainer: AccountId) -> UpdateHandle | None:
        try:
            await self.find(current.task, digest, trainer=trainer, round=current.round)
        except NotFound:
            return None
        return UpdateHandle(self, current.task, digest, trainer, current.round, None)
