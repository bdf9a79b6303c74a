"""Where the nodes of a test network stand: each in a network namespace of its own, or all on loopback behind proxies.

    with open_fabric(folder, names) as fabric:
        fabric.get_address("validator-0", PEER_PORT); fabric.enter("validator-0", command); fabric.apply(Faults(...))

Both kinds offer the same few methods. Whatever was made is removed when the fabric closes, and also when its owner is
killed: the processes in between, and the one that removes the namespaces, watch a pipe whose other end only we hold.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

from flockchain.devnet.processes import find_free_ports
from tools.chaos.faults import Faults, send_faults

__all__ = ["API_PORT", "PEER_PORT", "Fabric", "LoopbackFabric", "NamespaceFabric", "can_make_namespaces", "open_fabric"]

PEER_PORT = 9700
API_PORT = 9701
_READY_S = 10.0
_PREFIX = "flocknet"


class Fabric(Protocol):
    """What a test network needs of the ground that it stands on."""

    kind: str
    is_discovering: bool  # whether an address that a node tells leads through the faults

    def get_address(self, name: str, port: int) -> str: ...

    def get_way(self, dialler: str, listener: str) -> str: ...

    def enter(self, name: str, command: Sequence[str]) -> list[str]: ...

    def apply(self, faults: Faults | None) -> dict[str, int]: ...

    def close(self) -> None: ...

    def __enter__(self) -> Fabric: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_fabric(folder: Path, names: Sequence[str], seed: int, kind: str = "any") -> Fabric:
    """Namespaces where they can be made, unless another `kind` is wanted."""
    if kind == "namespaces" or (kind == "any" and can_make_namespaces()):
        return NamespaceFabric(folder, names, seed)
    return LoopbackFabric(folder, names, seed)


def can_make_namespaces() -> bool:
    """Whether this user may make network namespaces, cables between them, and read raw frames."""
    name = f"{_PREFIX}{os.getpid()}-try"
    steps = (
        f"ip netns add {name}", f"ip link add try0 netns {name} type veth peer name try1 netns {name}",
        f"ip netns exec {name} {sys.executable} -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'",
    )  # fmt: skip
    try:
        return all(
            subprocess.run(shlex.split(step), capture_output=True, check=False).returncode == 0 for step in steps
        )
    except OSError:
        return False
    finally:
        _remove_namespaces([name])


class _Ground:
    """What both kinds share: the process in between, its faults, and the end."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._control = Path(
            f"/tmp/{_PREFIX}-{os.getpid()}-{time.monotonic_ns() % 10**6}.sock"
        )  # a path of 108 bytes at most
        self._log = folder / "fabric.log"
        self._children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> _Ground:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def apply(self, faults: Faults | None) -> dict[str, int]:
        """Make the network so (None: leave it); returns what was counted so far."""
        return send_faults(self._control, faults)

    def close(self) -> None:
        """End the process in between, then the one that cleans up after it: the newest first."""
        for child in reversed(self._children):
            if child.stdin is not None and not child.stdin.closed:
                child.stdin.close()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._children.clear()
        self._control.unlink(missing_ok=True)

    def _start(self, command: Sequence[str]) -> None:
        with self._log.open("ab") as log:
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)
        self._children.append(child)

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + _READY_S
        while True:
            try:
                self.apply(None)
                return
            except OSError as error:
                if time.monotonic() > deadline or self._children[-1].poll() is not None:
                    raise RuntimeError(f"the network does not start: {self._log.read_text()}") from error
                time.sleep(0.05)


class NamespaceFabric(_Ground):
    """A namespace for each name, each with a cable into a switch that loses, delays and cuts frames."""

    kind = "namespaces"
    is_discovering = True

    def __init__(self, folder: Path, names: Sequence[str], seed: int) -> None:
        super().__init__(folder)
        self._names = tuple(names)
        self._tag = f"{_PREFIX}{os.getpid()}"
        self._switch = f"{self._tag}-switch"
        spaces = [self._switch, *(self._get_space(name) for name in names)]
        try:
            self._start(["sh", "-c", f"cat >/dev/null; for n in {' '.join(spaces)}; do ip netns del $n; done"])
            for space in spaces:
                _run("ip", "netns", "add", space)
            ports = [self._plug_in(at, name) for at, name in enumerate(names)]
            options = [option for port in ports for option in ("--port", port)]
            command = [sys.executable, "-m", "tools.chaos.switch", "--control", str(self._control), "--seed", str(seed)]
            self._start(["ip", "netns", "exec", self._switch, *command, *options])
            self._wait_ready()
        except BaseException:
            self.close()
            raise

    def get_address(self, name: str, port: int) -> str:
        """`host:port` of a node in its own namespace."""
        return f"10.77.0.{self._names.index(name) + 1}:{port}"

    def get_way(self, dialler: str, listener: str) -> str:
        """Where `dialler` finds the peer port of `listener`."""
        return self.get_address(listener, PEER_PORT)

    def enter(self, name: str, command: Sequence[str]) -> list[str]:
        """`command`, run at the place of `name`."""
        return ["ip", "netns", "exec", self._get_space(name), *command]

    def _get_space(self, name: str) -> str:
        return f"{self._tag}-{self._names.index(name)}"

    def _plug_in(self, at: int, name: str) -> str:
        """Lay the cable of one node; returns the switch's port for it."""
        space, mac = self._get_space(name), f"02000000000{at + 1:x}"
        colons = ":".join(mac[byte : byte + 2] for byte in range(0, 12, 2))
        cable = ("type", "veth", "peer", "name", f"port{at}", "netns", self._switch)
        _run("ip", "link", "add", f"eth{at}", "netns", space, "address", colons, *cable)
        _run("ip", "-n", space, "addr", "add", f"10.77.0.{at + 1}/24", "dev", f"eth{at}")
        for where, interface in ((space, "lo"), (space, f"eth{at}"), (self._switch, f"port{at}")):
            _run("ip", "-n", where, "link", "set", interface, "up")
        _run("ip", "netns", "exec", space, sys.executable, "-m", "tools.chaos.offloads", f"eth{at}")
        return f"{name}:port{at}:{mac}"


class LoopbackFabric(_Ground):
    """All on loopback; every way from one node to another leads through a proxy of its own."""

    kind = "proxies"
    is_discovering = False

    def __init__(self, folder: Path, names: Sequence[str], seed: int) -> None:
        super().__init__(folder)
        ways = [(dialler, listener) for dialler in names for listener in names if dialler != listener]
        ports = iter(find_free_ports(2 * len(names) + len(ways)))
        self._ports = {(name, port): next(ports) for name in names for port in (PEER_PORT, API_PORT)}
        self._ways = {way: next(ports) for way in ways}
        options: list[str] = []
        for (dialler, listener), port in self._ways.items():
            options += ["--route", f"{dialler}:{listener}:{port}:{self._ports[listener, PEER_PORT]}"]
        command = [sys.executable, "-m", "tools.chaos.proxies", "--control", str(self._control), "--seed", str(seed)]
        try:
            self._start([*command, *options])
            self._wait_ready()
        except BaseException:
            self.close()
            raise

    def get_address(self, name: str, port: int) -> str:
        """`host:port` of a node itself."""
        return f"127.0.0.1:{self._ports[name, port]}"

    def get_way(self, dialler: str, listener: str) -> str:
        """The proxy through which `dialler` reaches the peer port of `listener`."""
        return f"127.0.0.1:{self._ways[dialler, listener]}"

    def enter(self, name: str, command: Sequence[str]) -> list[str]:
        """As it is: everything stands in one place."""
        return list(command)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


def _remove_namespaces(names: Sequence[str]) -> None:
    for name in names:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
