"""What can be wrong between the nodes of a test network, and how the process in between is told.

One JSON object per datagram over a socket in the file system, which reaches into every network namespace. Knows nothing
of how a fault is made: `switch` drops Ethernet frames, `proxies` hold back bytes of TCP connections.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["CONTROL_BYTES_MAX", "HEALTHY", "ControlSocket", "Faults", "open_control", "send_faults"]

CONTROL_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True)
class Faults:
    """How the network is now. Whoever is in no group reaches everybody; members of a group reach one another only."""

    loss_permille: int = 0  # of the frames, each for itself
    delay_ms: int = 0
    groups: tuple[tuple[str, ...], ...] = ()

    def is_cut(self, one: str, other: str) -> bool:
        """Whether nothing gets from `one` to `other`."""
        places = [next((at for at, group in enumerate(self.groups) if name in group), None) for name in (one, other)]
        return None not in places and places[0] != places[1]


HEALTHY = Faults()


class ControlSocket:
    """The end of the process in between: takes faults, answers with its counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = open_control(path)
        self.faults = HEALTHY

    def __enter__(self) -> ControlSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def fileno(self) -> int:
        return self._socket.fileno()

    def take(self, counts: Mapping[str, int]) -> None:
        """Read one datagram; what it asks for holds from now on."""
        data, sender = self._socket.recvfrom(CONTROL_BYTES_MAX)
        order = json.loads(data)
        if order:
            groups = tuple(tuple(group) for group in order["groups"])
            self.faults = Faults(order["loss_permille"], order["delay_ms"], groups)
        self._socket.sendto(json.dumps(dict(counts)).encode(), sender)


def open_control(path: Path) -> socket.socket:
    """A datagram socket bound to `path`."""
    path.unlink(missing_ok=True)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    control.bind(str(path))
    return control


def send_faults(path: Path, faults: Faults | None, timeout_s: float = 10.0) -> dict[str, int]:
    """Make the network so (None: leave it), and return what the process in between has counted."""
    own = path.with_name(f"{path.name}.{os.getpid()}")
    with open_control(own) as asking:
        asking.settimeout(timeout_s)
        try:
            asking.sendto(_encode(faults), str(path))
            counts: dict[str, int] = json.loads(asking.recv(CONTROL_BYTES_MAX))
        finally:
            own.unlink(missing_ok=True)
    return counts


def _encode(faults: Faults | None) -> bytes:
    order: dict[str, Any] | Sequence[Any] = {} if faults is None else asdict(faults)
    return json.dumps(order).encode()
