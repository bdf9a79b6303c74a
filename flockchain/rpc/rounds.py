"""RoundService: rounds of a task, as the state keeps them."""

from __future__ import annotations

from typing import Any

import grpc.aio

from flockchain.primitives.numbers import Round, TaskId
from flockchain.rpc.backend import ChainBackend
from flockchain.rpc.failures import NotThere
from flockchain.rpc.messages import build_round
from flockchain.runtime import learning_views
from flockchain.v1 import rounds_pb2
from flockchain.v1.rounds_pb2_grpc import RoundServiceServicer

__all__ = ["RoundService"]

Context = grpc.aio.ServicerContext[Any, Any]


class RoundService(RoundServiceServicer):
    """Who submitted, who judges, what was found."""

    def __init__(self, backend: ChainBackend) -> None:
        self._backend = backend

    async def GetRound(  # noqa: N802
        self, request: rounds_pb2.GetRoundRequest, context: Context
    ) -> rounds_pb2.GetRoundResponse:
        state, task = self._backend.chain.state, TaskId(request.task)
        record = learning_views.find_task(state, task)
        if record is None:
            raise NotThere("there is no such task", task=task)
        wanted = Round(request.round) if request.HasField("round") else record.round
        found = learning_views.find_round(state, task, wanted)
        if found is None:
            raise NotThere("the round has not been opened", task=task, round=wanted)
        rows = learning_views.get_prompt_rows(state, task, wanted)
        return rounds_pb2.GetRoundResponse(round=build_round(found, rows))
