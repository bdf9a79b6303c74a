"""A network of real validators on a fabric, with a witness beside each and an observer among them.

Knows how they are laid out, started and killed, and where their records lie. What goes wrong is `run`'s to say, whether
all was well is `verdict`'s.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flockchain.devnet.processes import Fleet
from flockchain.node.config import ApiConfig, PeerConfig, encode_config
from flockchain.node.home import Home
from tests.e2e.network import FLOCKCHAIN, Network
from tools.chaos.fabric import API_PORT, PEER_PORT, Fabric
from tools.chaos.witness import derive_account

__all__ = ["OBSERVER", "ChaosNetwork", "list_names"]

OBSERVER = "observer"
_EPOCH_BLOCKS = 50
_IDLE_BLOCK_MS = 400


def list_names(validators: int) -> tuple[str, ...]:
    """Every place of a network: its validators, and the observer."""
    return (*(f"validator-{at}" for at in range(validators)), OBSERVER)


@dataclass
class ChaosNetwork:
    """Validators by name, all of them or some of them running."""

    folder: Path
    fabric: Fabric
    network: Network
    rate: int
    starts: dict[str, int] = field(default_factory=dict)
    _tails: dict[str, _Tail] = field(default_factory=dict)

    @classmethod
    def plan(cls, folder: Path, fabric: Fabric, validators: int, rate: int) -> ChaosNetwork:
        """Lay out the folders; nothing runs yet. `rate`: transfers a second into each validator."""
        names = list_names(validators)[:-1]
        network = Network.plan(
            folder / "net", validators, epoch_blocks=_EPOCH_BLOCKS, idle_block_ms=_IDLE_BLOCK_MS,
            accounts=[derive_account(name).account for name in names],
        )  # fmt: skip
        for at, name in enumerate(names):
            home = Home(network.nodes[name].home)
            config = replace(
                home.load_config(),
                peer=PeerConfig(
                    listen=fabric.get_address(name, PEER_PORT), discover=fabric.is_discovering,
                    peers=tuple(fabric.get_way(name, other) for other in names[:at]),
                ),
                api=ApiConfig(listen=fabric.get_address(name, API_PORT)),
            )  # fmt: skip
            home.config_file.write_bytes(encode_config(config))
        return cls(folder, fabric, network, rate)

    @property
    def names(self) -> tuple[str, ...]:
        """The validators."""
        return tuple(self.network.nodes)

    @property
    def fleet(self) -> Fleet:
        return self.network.fleet

    def start_all(self) -> None:
        """The validators, then who watches them."""
        for name in self.names:
            self.start(name)
        self._start_observer()
        for name in self.names:
            self._start_witness(name)

    def start(self, name: str) -> None:
        """Start one validator where it stands."""
        self.starts[name] = self.starts.get(name, 0) + 1
        home = str(self.network.nodes[name].home)
        self.fleet.start(name, self.fabric.enter(name, (*FLOCKCHAIN, "start", "--home", home)))

    def kill(self, name: str) -> None:
        """SIGKILL. A validator that had ended by itself is a finding, and raises."""
        if not self.fleet.processes[name].is_alive:
            raise RuntimeError(f"{name} ended by itself: {self.fleet.processes[name].get_log_tail(5)}")
        self.fleet.kill(name)

    def copy_journal(self, name: str, to: Path) -> Path:
        """A copy of a dead validator's vote journal, in a folder of its own."""
        to.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.network.nodes[name].home / "data" / "votes.journal", to / "votes.journal")
        return to

    def get_index(self, name: str) -> str:
        """The place of a validator in the epoch's set, which is ordered by account: how votes name their signer."""
        accounts = sorted(node.secrets.account for node in self.network.nodes.values())
        return str(accounts.index(self.network.nodes[name].secrets.account))

    def stop_witnesses(self) -> None:
        """Their records are complete."""
        for name in self.names:
            self.fleet.kill(f"witness-{name}")
            del self.fleet.processes[f"witness-{name}"]

    def get_records(self, name: str) -> Path:
        """What the witness of a validator, or the observer, has written."""
        return self.folder / f"{name}.jsonl"

    def get_height(self, name: str) -> int:
        """The greatest height that the witness of a validator has heard to be final; 0 before the first."""
        tail = self._tails.setdefault(name, _Tail(self.get_records(name)))
        return tail.read()

    def get_greatest(self) -> int:
        """The greatest height that any witness has heard of."""
        return max(self.get_height(name) for name in self.names)

    def wait_until(self, is_done: Callable[[], bool], what: str, timeout_s: float) -> float:
        """Wait; the seconds that it took. Fails when a process ended by itself, or time is over."""
        begun = time.monotonic()
        while not is_done():
            for name, process in self.fleet.processes.items():
                if not process.is_alive:
                    raise RuntimeError(f"{name} ended by itself: {process.get_log_tail(5)}")
            if time.monotonic() - begun > timeout_s:
                heights = {name: self.get_height(name) for name in self.names}
                raise TimeoutError(f"waited {timeout_s:.0f} s until {what}: {heights}")
            time.sleep(0.05)
        return time.monotonic() - begun

    def ask_all(self, script: str, *arguments: str) -> dict[str, Any]:
        """Run a module beside each validator with its API's address; what each printed, as JSON."""
        answers = {}
        for name in self.names:
            address = self.fabric.get_address(name, API_PORT)
            command = self.fabric.enter(name, (sys.executable, "-m", script, "--api", address, *arguments))
            done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"{script} at {name}: {done.stderr[-500:]}")
            answers[name] = json.loads(done.stdout)
        return answers

    def close(self) -> None:
        """Stop everything that we started."""
        self.network.close()

    def _start_witness(self, name: str) -> None:
        command = (
            sys.executable, "-m", "tools.chaos.witness", "--api", self.fabric.get_address(name, API_PORT),
            "--out", str(self.get_records(name)), "--account", name, "--rate", str(self.rate),
        )  # fmt: skip
        self.fleet.start(f"witness-{name}", self.fabric.enter(name, command))

    def _start_observer(self) -> None:
        peers = [option for name in self.names for option in ("--peer", self.fabric.get_way(OBSERVER, name))]
        command = (
            sys.executable, "-m", "tools.chaos.observer", "--genesis", str(self.network.genesis_file),
            "--listen", self.fabric.get_address(OBSERVER, PEER_PORT), "--out", str(self.get_records(OBSERVER)), *peers,
        )  # fmt: skip
        self.fleet.start(OBSERVER, self.fabric.enter(OBSERVER, command))


class _Tail:
    """The greatest height in a growing file of records, read piece by piece."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset = 0
        self._height = 0

    def read(self) -> int:
        for line in self._read_lines():
            if line["kind"] == "final":
                self._height = max(self._height, line["height"])
        return self._height

    def _read_lines(self) -> Iterator[dict[str, Any]]:
        if not self._file.exists():
            return
        with self._file.open("rb") as source:
            source.seek(self._offset)
            data = source.read()
        whole = data[: data.rfind(b"\n") + 1]  # what follows is not all there yet
        self._offset += len(whole)
        yield from (json.loads(line) for line in whole.splitlines())
