"""A module's gRPC server: one address, clean stop on SIGTERM, and a clear word when the address is taken."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import Any, Final

import grpc.aio

from flockchain.primitives.errors import Fault
from flockchain.primitives.limits import CHUNK_BYTES, MIB
from flockchain.rpc.malformed import SoundMessages

__all__ = ["AddressTaken", "serve", "start_server"]

_STOP_S: Final = 3
_OPTIONS: Final = [
    ("grpc.max_receive_message_length", CHUNK_BYTES + 4 * MIB),
    ("grpc.max_send_message_length", 8 * MIB),
    ("grpc.so_reuseport", 0),
]
_CALLS_AT_ONCE: Final = 16
_log = logging.getLogger("flockchain_ml.worker")


class AddressTaken(Fault):
    """The address to listen on cannot be had."""


async def serve(listen: str, add_service: Callable[[Any], None]) -> None:
    """Serve until SIGTERM or SIGINT. `add_service` puts the service on the server."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server, port = await start_server(listen, add_service)
    _log.info("listening on %s:%d", listen.rpartition(":")[0], port)
    await stop.wait()
    _log.info("stopping")
    await server.stop(_STOP_S)


async def start_server(listen: str, add_service: Callable[[Any], None]) -> tuple[Any, int]:
    """A started server and its port. Raises `AddressTaken`."""
    server = grpc.aio.server(interceptors=(SoundMessages(),), options=_OPTIONS, maximum_concurrent_rpcs=_CALLS_AT_ONCE)
    add_service(server)
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError as error:
        raise AddressTaken("cannot listen there", address=listen) from error
    if not port:
        raise AddressTaken("cannot listen there", address=listen)
    await server.start()
    return server, port
