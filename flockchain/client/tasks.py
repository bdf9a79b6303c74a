"""`client.tasks`: learning tasks."""

from __future__ import annotations

from flockchain.client import calls
from flockchain.client.account import Signer
from flockchain.client.errors import BrokenAnswer
from flockchain.client.extrinsics import Extrinsics
from flockchain.client.records import ExtrinsicRecord
from flockchain.client.transport import Transport
from flockchain.primitives.learning import TaskSpec
from flockchain.primitives.numbers import TaskId
from flockchain.primitives.rounds import TASK_RECORD, TaskRecord
from flockchain.v1 import tasks_pb2
from flockchain.v1.tasks_pb2_grpc import TaskServiceStub

__all__ = ["Tasks"]


class Tasks:
    """What each task fixes, and how far it is."""

    def __init__(self, transport: Transport, extrinsics: Extrinsics) -> None:
        self._transport = transport
        self._extrinsics = extrinsics

    async def get(self, task: TaskId | int) -> TaskRecord:
        """One task. Raises `NotFound`."""
        message = await self._transport.call(
            lambda used: used.get(TaskServiceStub).GetTask, tasks_pb2.GetTaskRequest(task=task)
        )
        record = TASK_RECORD.decode(message.task.record_bytes_canonical)
        if record.task != task:
            raise BrokenAnswer("the node gave another task than asked for", wanted=task, got=record.task)
        return record

    async def list(self) -> tuple[TaskRecord, ...]:
        """All tasks, oldest first."""
        records: list[TaskRecord] = []
        has_more = True
        while has_more:
            request = tasks_pb2.ListTasksRequest(after=records[-1].task if records else None)
            message = await self._transport.call(lambda used: used.get(TaskServiceStub).ListTasks, request)
            for task in message.tasks:
                record = TASK_RECORD.decode(task.record_bytes_canonical)
                if records and record.task <= records[-1].task:
                    raise BrokenAnswer("the node's list of tasks does not ascend", after=records[-1].task)
                records.append(record)
            has_more = message.has_more and len(message.tasks) > 0
        return tuple(records)

    async def create(self, spec: TaskSpec, *, account: Signer, timeout_s: int = 60) -> TaskRecord:
        """Create a task and fund its pool; returns when it is in a finalized block.

        Upload the suite first (`client.blobs.put`) and name its root in the spec.
        """
        handle = await self._extrinsics.submit(calls.create_task(spec), account=account)
        record = await handle.wait(timeout_s)
        return await self.get(_get_created(record))


def _get_created(record: ExtrinsicRecord) -> TaskId:
    for event in record.events:
        if event.pallet == "tasks" and type(event.fields.get("task")) is int:
            return TaskId(event.fields["task"])
    raise BrokenAnswer("the extrinsic succeeded and left no task behind", height=record.height, index=record.index)
