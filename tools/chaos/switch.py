"""An Ethernet switch that loses, delays and cuts: a process between the virtual cables of a test network.

    python -m tools.chaos.switch --control SOCKET --port NAME:INTERFACE:MAC ... [--seed N]

Every frame is dropped or kept by itself, so the TCP connections of real nodes suffer as on a bad line. Address
resolution is not lost by chance, only cut: what is measured is the nodes. Ends when its standard input does.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
import select
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tools.chaos.faults import ControlSocket

_ALL_PROTOCOLS = 3
_IP, _ARP = b"\x08\x00", b"\x08\x06"
_FRAME_BYTES_MAX = 65_536
_FRAMES_PER_TURN = 64
_BUFFER_BYTES = 4 << 20
_PACKET_IGNORE_OUTGOING = 23
_SOL_PACKET = 263
_BROADCAST = b"\xff" * 6


@dataclass(slots=True)
class _Port:
    name: str
    mac: bytes
    cable: socket.socket


class Switch:
    """The ports, the faults, and the frames that wait for their time."""

    def __init__(self, ports: list[_Port], control: ControlSocket, seed: int) -> None:
        self._ports = ports
        self._control = control
        self._random = random.Random(seed)
        self._late: list[tuple[float, int, _Port, bytes]] = []
        self._order = itertools.count()
        self._counts = {"forwarded": 0, "lost": 0, "cut": 0, "overflown": 0}

    def run(self) -> None:
        """Carry frames until standard input ends."""
        poller = select.poll()
        sources = {port.cable.fileno(): port for port in self._ports}
        for number in (*sources, self._control.fileno(), sys.stdin.fileno()):
            poller.register(number, select.POLLIN)
        while True:
            wait_ms = 1_000 if not self._late else max(0, int((self._late[0][0] - time.monotonic()) * 1000) + 1)
            for number, _ in poller.poll(wait_ms):
                if number in sources:
                    self._drain(sources[number])
                elif number == self._control.fileno():
                    self._control.take(self._counts)
                elif not sys.stdin.buffer.raw.read(64):  # type: ignore[attr-defined]
                    return
            self._send_due()

    def _drain(self, source: _Port) -> None:
        for _ in range(_FRAMES_PER_TURN):
            try:
                frame = source.cable.recv(_FRAME_BYTES_MAX)
            except BlockingIOError:
                return
            self._take(source, frame)

    def _take(self, source: _Port, frame: bytes) -> None:
        kind = frame[12:14]
        if kind not in (_IP, _ARP):
            return
        faults = self._control.faults
        for port in self._ports:
            if port is source or frame[:6] not in (port.mac, _BROADCAST):
                continue
            if faults.is_cut(source.name, port.name):
                self._counts["cut"] += 1
            elif kind == _IP and self._random.randrange(1000) < faults.loss_permille:
                self._counts["lost"] += 1
            elif faults.delay_ms:
                due = time.monotonic() + faults.delay_ms / 1000
                heapq.heappush(self._late, (due, next(self._order), port, frame))
            else:
                self._send(port, frame)

    def _send_due(self) -> None:
        now = time.monotonic()
        while self._late and self._late[0][0] <= now:
            _, _, port, frame = heapq.heappop(self._late)
            self._send(port, frame)

    def _send(self, port: _Port, frame: bytes) -> None:
        try:
            port.cable.send(frame)
            self._counts["forwarded"] += 1
        except OSError:  # the cable's queue is full: one more lost frame
            self._counts["overflown"] += 1


def _open_cable(interface: str) -> socket.socket:
    cable = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
    cable.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        cable.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
    cable.bind((interface, 0))
    cable.setblocking(False)
    return cable


def main() -> int:
    """Read the command line and switch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--control", type=Path, required=True)
    parser.add_argument("--port", action="append", required=True, help="NAME:INTERFACE:MAC, the MAC as 12 hex digits")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    ports = []
    for text in options.port:
        name, interface, mac = text.split(":")
        ports.append(_Port(name, bytes.fromhex(mac), _open_cable(interface)))
    with ControlSocket(options.control) as control:
        Switch(ports, control, options.seed).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
