"""TaskService: learning tasks."""

from __future__ import annotations

from typing import Any

import grpc.aio

from flockchain.primitives.limits import API_PAGE_MAX
from flockchain.primitives.numbers import TaskId
from flockchain.rpc.backend import ChainBackend
from flockchain.rpc.failures import NotThere
from flockchain.rpc.messages import build_task
from flockchain.runtime import learning_views
from flockchain.v1 import tasks_pb2
from flockchain.v1.tasks_pb2_grpc import TaskServiceServicer

__all__ = ["TaskService"]

_TASKS_PER_PAGE_MAX = min(API_PAGE_MAX, 32)  # a task may name a thousand modules

Context = grpc.aio.ServicerContext[Any, Any]


class TaskService(TaskServiceServicer):
    """What each task fixes, and how far it is."""

    def __init__(self, backend: ChainBackend) -> None:
        self._backend = backend

    async def GetTask(  # noqa: N802
        self, request: tasks_pb2.GetTaskRequest, context: Context
    ) -> tasks_pb2.GetTaskResponse:
        record = learning_views.find_task(self._backend.chain.state, TaskId(request.task))
        if record is None:
            raise NotThere("there is no such task", task=request.task)
        return tasks_pb2.GetTaskResponse(task=build_task(record))

    async def ListTasks(  # noqa: N802
        self, request: tasks_pb2.ListTasksRequest, context: Context
    ) -> tasks_pb2.ListTasksResponse:
        first = request.after + 1 if request.HasField("after") else 0
        limit = min(request.limit or _TASKS_PER_PAGE_MAX, _TASKS_PER_PAGE_MAX)
        records = [record for record in learning_views.list_tasks(self._backend.chain.state) if record.task >= first]
        tasks = [build_task(record) for record in records[:limit]]
        return tasks_pb2.ListTasksResponse(tasks=tasks, has_more=len(records) > limit)
