"""Runs one of the module services on a loopback address until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import Any, Final

import grpc.aio

from flockchain.primitives.errors import Fault
from flockchain.primitives.limits import CHUNK_BYTES, MIB

__all__ = ["AddressTaken", "serve"]

_STOP_S: Final = 3
_OPTIONS: Final = [
    ("grpc.max_receive_message_length", CHUNK_BYTES + 4 * MIB),
    ("grpc.max_send_message_length", 8 * MIB),
    ("grpc.so_reuseport", 0),
]
_log = logging.getLogger("flockchain_ml.worker")


class AddressTaken(Fault):
    """The address to listen on cannot be had."""


async def serve(listen: str, add_service: Callable[[Any], None]) -> None:
    """Serve until SIGTERM or SIGINT. `add_service` puts the service on the server."""
    server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=16)
    add_service(server)
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError as error:
        raise AddressTaken("cannot listen there", address=listen) from error
    if port == 0:
        raise AddressTaken("cannot listen there", address=listen)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await server.start()
    _log.info("listening on %s", listen)
    await stop.wait()
    await server.stop(_STOP_S)
