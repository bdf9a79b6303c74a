"""The API server of a node: every service, health and reflection, behind one set of limits.

Knows gRPC and the list of services. Authentication is the address it listens on: what the API does is public.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from flockchain.primitives.errors import Fault
from flockchain.primitives.limits import API_MESSAGE_BYTES_MAX
from flockchain.rpc.backend import ChainBackend
from flockchain.rpc.blobs import BlobService
from flockchain.rpc.chain import ChainService
from flockchain.rpc.events import EventService
from flockchain.rpc.extrinsics import ExtrinsicService
from flockchain.rpc.failures import Failures
from flockchain.rpc.models import ModelService
from flockchain.rpc.outcomes import Outcomes
from flockchain.rpc.rounds import RoundService
from flockchain.rpc.state import StateService
from flockchain.rpc.tasks import TaskService
from flockchain.rpc.updates import UpdateService
from flockchain.rpc.uploads import UploadDesk, UploadLimits
from flockchain.v1 import (
    blobs_pb2_grpc,
    chain_pb2_grpc,
    events_pb2_grpc,
    extrinsics_pb2_grpc,
    models_pb2_grpc,
    rounds_pb2_grpc,
    state_pb2_grpc,
    tasks_pb2_grpc,
    updates_pb2_grpc,
)

__all__ = ["ApiLimits", "ApiServer", "PortTaken", "build_server"]

_GRACE_S: Final = 2
_SERVICES: Final = (
    "ChainService", "ExtrinsicService", "StateService", "TaskService", "RoundService", "UpdateService",
    "ModelService", "BlobService", "EventService",
)  # fmt: skip


class PortTaken(Fault):
    """The API's address cannot be listened on."""


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """What one client, or all together, may ask of the API."""

    message_bytes: int = API_MESSAGE_BYTES_MAX
    streams_per_connection: int = 64
    requests_at_a_time: int = 512
    unary_deadline_ms: int = 10_000
    uploads: UploadLimits = field(default_factory=UploadLimits)


class ApiServer:
    """A server with all services of a backend. Use it on the event loop that it was made on."""

    def __init__(self, server: grpc.aio.Server, health_service: Any) -> None:
        self._server = server
        self._health = health_service

    async def start(self, address: str) -> int:
        """Listen on `address` ("127.0.0.1:0" picks a port) and return the port. Raises `PortTaken`."""
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError:
            port = 0
        if port == 0:
            raise PortTaken("the API cannot listen on its address", address=address)
        await self._server.start()
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        for name in _SERVICES:
            await self._health.set(f"flockchain.v1.{name}", health_pb2.HealthCheckResponse.SERVING)
        return port

    async def stop(self, grace_s: int = _GRACE_S) -> None:
        """Take no new requests, give the running ones a moment, and end."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)


def build_server(backend: ChainBackend, limits: ApiLimits | None = None) -> ApiServer:
    """A server that is not started yet. Call it on the event loop."""
    bounds = limits or ApiLimits()
    server = grpc.aio.server(
        interceptors=(Failures(bounds.unary_deadline_ms),),
        maximum_concurrent_rpcs=bounds.requests_at_a_time,
        options=(
            ("grpc.max_receive_message_length", bounds.message_bytes),
            ("grpc.max_send_message_length", bounds.message_bytes),
            ("grpc.max_concurrent_streams", bounds.streams_per_connection),
            ("grpc.so_reuseport", 0),
        ),
    )
    outcomes = Outcomes(backend.chain, backend.runtime)
    desk = UploadDesk(backend.blobs, backend.chain.state, lambda: backend.get_status().height, bounds.uploads)
    _add_services(server, backend, outcomes, desk)
    health_service = health.aio.HealthServicer()  # type: ignore[attr-defined]
    health_pb2_grpc.add_HealthServicer_to_server(health_service, server)
    names = [f"flockchain.v1.{name}" for name in _SERVICES]
    reflection.enable_server_reflection((*names, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return ApiServer(server, health_service)


def _add_services(server: grpc.aio.Server, backend: ChainBackend, outcomes: Outcomes, desk: UploadDesk) -> None:
    add: list[tuple[Callable[[Any, Any], None], Any]] = [
        (chain_pb2_grpc.add_ChainServiceServicer_to_server, ChainService(backend)),
        (extrinsics_pb2_grpc.add_ExtrinsicServiceServicer_to_server, ExtrinsicService(backend, outcomes)),
        (state_pb2_grpc.add_StateServiceServicer_to_server, StateService(backend)),
        (tasks_pb2_grpc.add_TaskServiceServicer_to_server, TaskService(backend)),
        (rounds_pb2_grpc.add_RoundServiceServicer_to_server, RoundService(backend)),
        (updates_pb2_grpc.add_UpdateServiceServicer_to_server, UpdateService(backend)),
        (models_pb2_grpc.add_ModelServiceServicer_to_server, ModelService(backend)),
        (blobs_pb2_grpc.add_BlobServiceServicer_to_server, BlobService(backend, desk)),
        (events_pb2_grpc.add_EventServiceServicer_to_server, EventService(backend, outcomes)),
    ]
    for add_to_server, service in add:
        add_to_server(service, server)
