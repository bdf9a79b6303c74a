"""TCP connections through a process that stalls, delays, cuts and resets: a bad line where namespaces are missing.

    python -m tools.chaos.proxies --control SOCKET --route FROM:TO:PORT:TARGET_PORT ... [--seed N]

Packets cannot be lost here, so a loss is what TCP makes of it: a piece of the stream, and all behind it, waits for
200 ms, doubled for each further loss of the same piece or of its acknowledgement. A cut holds everything back, new
connections too. Everything is on loopback. Ends when its standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tools.chaos.faults import ControlSocket

_HOST = "127.0.0.1"
_PIECE_BYTES = 16_384
_FIRST_WAIT_MS = 200
_WAIT_MAX_MS = 20_000
_CUT_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class _Route:
    """Who dials whom through which port."""

    dialler: str
    listener: str
    port: int
    target_port: int


class Proxies:
    """All routes of one network."""

    def __init__(self, control: ControlSocket, seed: int) -> None:
        self._control = control
        self._random = random.Random(seed)
        self._counts = {"forwarded": 0, "lost": 0, "cut": 0, "connections": 0}

    async def run(self, routes: list[_Route]) -> None:
        """Serve until standard input ends."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(self._control.fileno(), lambda: self._control.take(self._counts))
        loop.add_reader(sys.stdin.fileno(), lambda: sys.stdin.buffer.raw.read(64) or ended.set())  # type: ignore[attr-defined]
        for route in routes:
            await asyncio.start_server(
                lambda ours, theirs, route=route: self._join(route, ours, theirs), _HOST, route.port
            )
        await ended.wait()

    async def _join(self, route: _Route, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._counts["connections"] += 1
        await self._suffer(route)
        try:
            far_reader, far_writer = await asyncio.open_connection(_HOST, route.target_port)
        except OSError:
            writer.transport.abort()
            return
        ways = [
            asyncio.create_task(self._carry(route, reader, far_writer)),
            asyncio.create_task(self._carry(route, far_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for each in (writer, far_writer):
                each.transport.abort()  # a reset, as when a node is killed

    async def _carry(self, route: _Route, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(_PIECE_BYTES):
                await self._suffer(route)
                writer.write(piece)
                await writer.drain()
                self._counts["forwarded"] += 1

    async def _suffer(self, route: _Route) -> None:
        """Wait for as long as one piece of the stream takes on this line."""
        wait_ms, again_ms = self._control.faults.delay_ms, _FIRST_WAIT_MS
        while again_ms <= _WAIT_MAX_MS and self._is_lost():
            wait_ms, again_ms = wait_ms + again_ms, 2 * again_ms
            self._counts["lost"] += 1
        if wait_ms:
            await asyncio.sleep(wait_ms / 1000)
        while self._control.faults.is_cut(route.dialler, route.listener):
            self._counts["cut"] += 1
            await asyncio.sleep(_CUT_POLL_S)

    def _is_lost(self) -> bool:
        loss = self._control.faults.loss_permille
        return self._random.randrange(1000) < loss or self._random.randrange(1000) < loss


def main() -> int:
    """Read the command line and forward."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--control", type=Path, required=True)
    parser.add_argument("--route", action="append", default=[], help="FROM:TO:PORT:TARGET_PORT")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    routes = []
    for text in options.route:
        dialler, listener, port, target = text.split(":")
        routes.append(_Route(dialler, listener, int(port), int(target)))
    with ControlSocket(options.control) as control:
        asyncio.run(Proxies(control, options.seed).run(routes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
