"""UpdateService: finding again what a trainer committed to."""

from __future__ import annotations

from typing import Any

import grpc.aio

from flockchain.primitives.errors import invariant
from flockchain.primitives.numbers import Round, TaskId
from flockchain.rpc.backend import ChainBackend
from flockchain.rpc.failures import NotThere
from flockchain.rpc.messages import build_update, build_verdict
from flockchain.runtime import learning_views
from flockchain.runtime.pallets.updates import get_updates
from flockchain.v1 import updates_pb2
from flockchain.v1.updates_pb2_grpc import UpdateServiceServicer

__all__ = ["UpdateService"]

Context = grpc.aio.ServicerContext[Any, Any]


class UpdateService(UpdateServiceServicer):
    """Updates by the digest of their bytes."""

    def __init__(self, backend: ChainBackend) -> None:
        self._backend = backend

    async def FindUpdate(  # noqa: N802
        self, request: updates_pb2.FindUpdateRequest, context: Context
    ) -> updates_pb2.FindUpdateResponse:
        state, task = self._backend.chain.state, TaskId(request.task)
        record = learning_views.find_task(state, task)
        if record is None:
            raise NotThere("there is no such task", task=task)
        newest_first = [request.round] if request.HasField("round") else range(record.round, -1, -1)
        for number in newest_first:
            for index, update in enumerate(get_updates(state, task, Round(number))):
                if update.digest == request.digest and request.trainer in (b"", update.trainer):
                    return self._build(task, Round(number), index)
        raise NotThere("no round of the task has this update", task=task, digest=request.digest)

    def _build(self, task: TaskId, round: Round, index: int) -> updates_pb2.FindUpdateResponse:
        found = learning_views.find_round(self._backend.chain.state, task, round)
        invariant(found is not None, "a round with updates was opened", task=task, round=round)
        response = updates_pb2.FindUpdateResponse(round=round, index=index)
        if found is not None:
            response.update.CopyFrom(build_update(found.updates[index]))
            response.phase = int(found.phase) + 1  # type: ignore[assignment]
            if found.verdicts:
                response.verdict.CopyFrom(build_verdict(found.verdicts[index]))
        return response
