"""ModelService: how a task's model came to be, step by certified step."""

from __future__ import annotations

from typing import Any

import grpc.aio

from flockchain.primitives.learning import AggregateCertificate
from flockchain.primitives.limits import API_PAGE_MAX
from flockchain.primitives.numbers import TaskId
from flockchain.primitives.rounds import LineageEntry
from flockchain.rpc.backend import ChainBackend
from flockchain.rpc.failures import NotThere
from flockchain.rpc.messages import build_lineage_entry
from flockchain.runtime import learning_views
from flockchain.runtime.pallets.models import LINEAGE
from flockchain.v1 import models_pb2
from flockchain.v1.models_pb2_grpc import ModelServiceServicer

__all__ = ["ModelService"]

Context = grpc.aio.ServicerContext[Any, Any]


class ModelService(ModelServiceServicer):
    """The lineages of the tasks' models."""

    def __init__(self, backend: ChainBackend) -> None:
        self._backend = backend

    async def GetLineage(  # noqa: N802
        self, request: models_pb2.GetLineageRequest, context: Context
    ) -> models_pb2.GetLineageResponse:
        state, task = self._backend.chain.state, TaskId(request.task)
        record = learning_views.find_task(state, task)
        if record is None:
            raise NotThere("there is no such task", task=task)
        limit = min(request.limit or API_PAGE_MAX, API_PAGE_MAX)
        lineage = enumerate(learning_views.get_lineage(state, task))
        wanted = [(place, entry) for place, entry in lineage if entry.round >= request.from_round]
        entries = [
            build_lineage_entry(entry, LINEAGE.get_key((task, place)), self._find_certificate(task, entry))
            for place, entry in wanted[:limit]
        ]
        return models_pb2.GetLineageResponse(
            entries=entries, has_more=len(wanted) > limit, base_model=record.spec.base_model
        )

    def _find_certificate(self, task: TaskId, entry: LineageEntry) -> AggregateCertificate | None:
        block = self._backend.chain.get_block(entry.height)
        for item in block.learning if block else ():
            if isinstance(item, AggregateCertificate) and (item.task, item.round) == (task, entry.round):
                return item
        return None
