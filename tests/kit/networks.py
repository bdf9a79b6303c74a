"""Real nodes as processes on loopback: homes, starts, kills, and what their API says."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc

from flockchain.crypto import ed25519
from flockchain.crypto.bls import get_default_backend
from flockchain.node.config import ApiConfig, EvaluatorConfig, LogConfig, MetricsConfig, NodeConfig, PeerConfig
from flockchain.node.home import NodeSecrets, generate_secrets, initialise_home
from flockchain.node.solo_chain import build_solo_genesis
from flockchain.primitives.numbers import AccountId
from flockchain.runtime.genesis import encode_genesis
from flockchain.runtime.genesis_config import GenesisConfig
from flockchain.v1 import chain_pb2, chain_pb2_grpc

__all__ = ["NodeProcess", "build_network", "build_stranger", "find_ports", "get_block_hash", "wait_for"]

_RUN = "import sys, pathlib; from flockchain.node.app import run_node; sys.exit(run_node(pathlib.Path(sys.argv[1])))"


@dataclass
class NodeProcess:
    """One node: its folder, its keys, and its process while it runs."""

    home: Path
    secrets: NodeSecrets
    config: NodeConfig
    genesis: GenesisConfig
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def log(self) -> str:
        return (self.home / "log").read_text()

    @property
    def account(self) -> AccountId:
        return AccountId(ed25519.get_public_key(self.secrets.account_seed))

    def start(self, *before: str) -> None:
        """Start the process, its words into the folder's `log`; `before` goes before the command (such as prlimit)."""
        environment = {**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1"}
        with (self.home / "log").open("ab") as sink:
            self.process = subprocess.Popen(
                [*before, sys.executable, "-c", _RUN, str(self.home)], stdout=sink, stderr=sink, env=environment
            )

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout_s: float = 15) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def get_cpu_s(self) -> float:
        """Processor time that the process has used so far."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def get_status(self) -> chain_pb2.GetStatusResponse | None:
        """What `GetStatus` says; None while nobody answers."""
        with grpc.insecure_channel(self.config.api.listen) as channel:
            try:
                return chain_pb2_grpc.ChainServiceStub(channel).GetStatus(chain_pb2.GetStatusRequest(), timeout=2)
            except grpc.RpcError:
                return None

    def get_height(self) -> int:
        """The finalized height; -1 while nobody answers."""
        status = self.get_status()
        return -1 if status is None else status.height


def build_network(folder: Path, validators: int, *, idle_ms: int = 200, epoch_blocks: int = 8) -> list[NodeProcess]:
    """Homes of `validators` nodes that all know the first one's address; nothing is started."""
    secrets = [generate_secrets() for _ in range(validators)]
    bls = get_default_backend()
    solos = [build_solo_genesis("network", own, bls, int(time.time() * 1000)) for own in secrets]
    genesis = replace(
        solos[0],
        epoch_blocks=epoch_blocks,
        consensus=replace(solos[0].consensus, idle_block_ms=idle_ms),
        validators=tuple(sorted((solo.validators[0] for solo in solos), key=lambda member: member.account)),
        accounts=tuple(sorted((solo.accounts[0] for solo in solos), key=lambda holder: holder.account)),
    )
    ports = find_ports(2 * validators)
    nodes = []
    for at, own in enumerate(secrets):
        config = NodeConfig(
            PeerConfig(f"127.0.0.1:{ports[2 * at]}", peers=(f"127.0.0.1:{ports[0]}",) if at else ()),
            ApiConfig(f"127.0.0.1:{ports[2 * at + 1]}"),
            EvaluatorConfig(),
            MetricsConfig(),
            LogConfig("debug", "json"),
        )
        home = folder / f"node-{at}"
        initialise_home(home, encode_genesis(genesis), config, own)
        nodes.append(NodeProcess(home, own, config, genesis))
    return nodes


def build_stranger(known: NodeProcess) -> NodeProcess:
    """The home of a node that is no validator of `known`'s chain, and knows that node's address."""
    secrets = generate_secrets()
    ports = find_ports(2)
    config = replace(
        known.config,
        peer=PeerConfig(f"127.0.0.1:{ports[0]}", peers=(known.config.peer.listen,)),
        api=ApiConfig(f"127.0.0.1:{ports[1]}"),
    )
    home = known.home.parent / "stranger"
    initialise_home(home, encode_genesis(known.genesis), config, secrets)
    return NodeProcess(home, secrets, config, known.genesis)


def get_block_hash(node: NodeProcess, height: int) -> bytes:
    """The hash of a finalized block."""
    with grpc.insecure_channel(node.config.api.listen) as channel:
        stub = chain_pb2_grpc.ChainServiceStub(channel)
        return stub.GetBlock(chain_pb2.GetBlockRequest(height=height), timeout=5).block_hash


def find_ports(count: int) -> list[int]:
    """Ports of loopback that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_for(is_true: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Return once `is_true`; fail after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, "waited for too long"
        time.sleep(0.05)
