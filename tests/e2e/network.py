"""A network of real processes on loopback: `flockchain start` in folders that the devnet's planner laid out.

    network = Network.plan(folder, validators=4)
    network.start_all()
    network.wait_for_height(3)
    network.kill("validator-2")

Knows how nodes are planned, started, waited for and stopped. What they should do is the tests' to say.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flockchain.client import Account, Client, StatusRecord, Timing
from flockchain.crypto.bls import get_default_backend
from flockchain.devnet.plan import PORTS_PER_NODE, DevnetSettings, NodePlan, build_genesis_config, build_plan
from flockchain.devnet.processes import Fleet, Process, find_free_ports, signal_group
from flockchain.devnet.shipped_chains import load_shipped_genesis
from flockchain.node.config import ApiConfig, EvaluatorConfig, LogConfig, MetricsConfig, NodeConfig, PeerConfig
from flockchain.node.home import NodeSecrets, initialise_home
from flockchain.primitives.errors import FlockchainError
from flockchain.primitives.numbers import AccountId, Balance
from flockchain.runtime.dev_keys import ValidatorSecrets
from flockchain.runtime.genesis import encode_genesis, load_genesis
from flockchain.runtime.genesis_config import GenesisAccount, GenesisConfig

__all__ = ["FLOCKCHAIN", "Network", "run_cli", "wait_until"]

FLOCKCHAIN = (sys.executable, "-m", "flockchain.cli")
_QUICK = Timing(deadline_ms=2_000, attempts=2)
_SETTINGS_SEED = 7


def wait_until(is_done: Callable[[], bool], what: str, timeout_s: float = 30.0, poll_s: float = 0.05) -> None:
    """Return once `is_done`; fail with `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not is_done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:.0f} s until {what}")
        time.sleep(poll_s)


def run_cli(*arguments: str) -> Any:
    """Run one command line in a process of its own; its answer as JSON. Fails on any other exit code than 0."""
    done = subprocess.run(
        [*FLOCKCHAIN, *arguments, "--output", "json"], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"flockchain {' '.join(arguments)}: exit {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


@dataclass
class Network:
    """Planned nodes by name, those of them that run, and a client of each."""

    folder: Path
    genesis: GenesisConfig
    nodes: dict[str, NodePlan]
    creator: Account  # holds funds and is no validator
    fleet: Fleet
    _clients: dict[str, Client] = field(default_factory=dict)
    _running: set[str] = field(default_factory=set)  # validators that were started and not stopped

    @classmethod
    def plan(
        cls, folder: Path, validators: int = 4, *, epoch_blocks: int = 20, idle_block_ms: int = 200,
        accounts: Iterable[AccountId] = (), change: Callable[[GenesisConfig], GenesisConfig] = lambda genesis: genesis,
        has_evaluators: bool = False,
    ) -> Network:  # fmt: skip
        """Folders of `validators` nodes of equal stake. `accounts` get funds; `change` has the last word on genesis.

        With `has_evaluators` each node asks the evaluator at its planned address; somebody else starts those.
        """
        settings = DevnetSettings(folder, validators, trainers=1, rounds=1, attack=None, seed=_SETTINGS_SEED)
        plan = build_plan(settings, find_free_ports(PORTS_PER_NODE * validators))
        template = load_genesis(load_shipped_genesis("devnet"))
        template = replace(
            template,
            epoch_blocks=epoch_blocks,
            consensus=replace(template.consensus, idle_block_ms=idle_block_ms),
        )
        genesis = build_genesis_config(plan, template, time.time_ns() // 1_000_000, get_default_backend())
        funded = [GenesisAccount(account, Balance(10**15)) for account in accounts]
        genesis = replace(genesis, accounts=tuple(sorted((*genesis.accounts, *funded), key=lambda it: it.account)))
        genesis = change(genesis)
        folder.mkdir(parents=True, exist_ok=True)
        plan.genesis_file.write_bytes(encode_genesis(genesis))
        network = cls(
            folder, genesis, {node.name: node for node in plan.nodes}, Account(plan.creator_seed),
            Fleet(plan.logs, {"OMP_NUM_THREADS": "1"}),
        )  # fmt: skip
        for node in plan.nodes:
            network._write_home(node, node.evaluator_address if has_evaluators else "")
        return network

    @property
    def genesis_file(self) -> Path:
        return self.folder / "genesis.toml"

    # Processes

    def start(self, name: str, command: Sequence[str] | None = None) -> Process:
        """Start a node, or `command` under any name; it is not waited for."""
        if name in self.nodes:
            self._running.add(name)
        return self.fleet.start(name, command or (*FLOCKCHAIN, "start", "--home", str(self.nodes[name].home)))

    def start_all(self) -> None:
        for name in self.nodes:
            self.start(name)

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self._running.discard(name)
        self.fleet.kill(name)

    def stop(self, name: str, timeout_s: float = 15.0) -> int:
        """SIGTERM; the exit code."""
        self._running.discard(name)
        handle = self.fleet.processes[name].handle
        signal_group(handle.pid, is_final=False)
        return handle.wait(timeout_s)

    def close(self) -> None:
        """Stop everything that we started."""
        try:
            for client in self._clients.values():
                client.close()
        finally:
            self.fleet.stop_all(5_000)

    def get_log(self, name: str) -> str:
        """Everything that a node has written, over all of its starts."""
        return (self.fleet.logs / f"{name}.log").read_text(encoding="utf-8")

    # Questions

    def get_client(self, name: str) -> Client:
        """A client of one node, made once."""
        if name not in self._clients:
            self._clients[name] = Client(self.nodes[name].api_address, timing=_QUICK)
        return self._clients[name]

    def get_status(self, name: str) -> StatusRecord | None:
        """Where a node is; None while it does not answer."""
        try:
            return self.get_client(name).chain.get_status()
        except FlockchainError:
            return None

    def get_height(self, name: str) -> int:
        """The finalized height; -1 while the node does not answer."""
        status = self.get_status(name)
        return -1 if status is None else status.height

    def wait_until(self, is_done: Callable[[], bool], what: str, timeout_s: float = 30.0, poll_s: float = 0.05) -> None:
        """Return once `is_done`; fail after `timeout_s`, or at once when a validator has ended that was not stopped."""

        def is_done_or_hopeless() -> bool:
            ended = [name for name in self._running if not self.fleet.processes[name].is_alive]
            if ended:
                raise RuntimeError(f"ended too early: {self.describe(ended)}")
            return is_done()

        try:
            wait_until(is_done_or_hopeless, what, timeout_s, poll_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {self.describe(self._running)}") from None

    def wait_for_height(self, height: int, *names: str, timeout_s: float = 30.0) -> None:
        """Until these nodes (all, unless named) have finalized `height`."""
        wanted = names or tuple(self.nodes)
        self.wait_until(
            lambda: all(self.get_height(name) >= height for name in wanted),
            f"{', '.join(wanted)} reach height {height}", timeout_s,
        )  # fmt: skip

    def describe(self, names: Iterable[str]) -> Mapping[str, str]:
        """For people: where each node is and what it said last."""
        return {
            name: f"{self.get_status(name)} {self.fleet.processes[name].get_log_tail(3)}"
            for name in names
            if name in self.fleet.processes
        }

    def _write_home(self, node: NodePlan, evaluator: str) -> None:
        """Each node dials those before it."""
        others = [other.peer_address for other in self.nodes.values()]
        config = NodeConfig(
            peer=PeerConfig(listen=node.peer_address, peers=tuple(others[: others.index(node.peer_address)])),
            api=ApiConfig(listen=node.api_address), evaluator=EvaluatorConfig(evaluator), metrics=MetricsConfig(),
            log=LogConfig(format="json"),
        )  # fmt: skip
        initialise_home(node.home, self.genesis_file.read_bytes(), config, _get_secrets(node.secrets))


def _get_secrets(keys: ValidatorSecrets) -> NodeSecrets:
    return NodeSecrets(
        keys.account_seed, keys.node_seed, keys.score_seed, keys.consensus_secret, keys.certificate_secret
    )
