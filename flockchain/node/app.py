"""One node, from its folder to its end: open, connect, run until SIGTERM or a fault, close.

    run_node(home) -> exit code

The order of the start is the order of `_open` and `_run`. Everything slow that the first block does not need (metrics,
the evaluator) starts after it.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from flockchain.consensus.config import ConsensusKeys
from flockchain.crypto import ed25519
from flockchain.crypto.bls import BlsBackend, get_default_backend
from flockchain.duties import DutyKeys
from flockchain.node.acquaintances import AcquaintanceConfig
from flockchain.node.backend import NodeBackend, StateGate, compute_node_version
from flockchain.node.blob_exchange import BlobExchange
from flockchain.node.clock import HostClock
from flockchain.node.config import BadNodeConfig, NodeConfig
from flockchain.node.evaluators import EvaluatorClient
from flockchain.node.home import Home, NodeSecrets
from flockchain.node.host import Host
from flockchain.node.journal_log import get_logger, start_logging
from flockchain.node.journals import examine_journals, open_journals
from flockchain.node.metrics import NodeCounters, NodeGauges, start_metrics
from flockchain.node.peers import DialConfig
from flockchain.node.slots import SlotConfig
from flockchain.node.snapshots import SnapshotKeeper
from flockchain.node.transport import Transport, TransportConfig
from flockchain.node.workbench import Workbench
from flockchain.primitives.errors import Fault, FlockchainError, InvalidInput, Refused
from flockchain.primitives.numbers import AccountId, Hash, Height, NodeId
from flockchain.replica.assembly import Habits, assemble_replica
from flockchain.replica.epochs import Identity
from flockchain.replica.replica import Replica
from flockchain.rpc.backend import ChainIdentity
from flockchain.rpc.heads import HeadBroadcast
from flockchain.runtime.genesis import build_genesis, load_genesis
from flockchain.runtime.genesis_config import GenesisConfig
from flockchain.storage.archive import Archive
from flockchain.storage.blobs import BlobStore
from flockchain.storage.journals import Journals
from flockchain.storage.level_store import LevelStore
from flockchain.storage.lock import DataFolderLock
from flockchain.storage.snapshot_files import FileShelf
from flockchain.storage.snapshot_install import resume_install
from flockchain.sync import Checkpoint, RetentionConfig, SnapshotConfig

__all__ = ["EXIT_FAULT", "EXIT_INTERNAL", "EXIT_INVALID", "EXIT_OK", "EXIT_REFUSED", "run_node"]

EXIT_OK: Final = 0
EXIT_INTERNAL: Final = 1
EXIT_INVALID: Final = 2
EXIT_REFUSED: Final = 3
EXIT_FAULT: Final = 4


@dataclass(frozen=True, slots=True)
class _Opened:
    """What the folder holds, opened and locked."""

    config: NodeConfig
    genesis: GenesisConfig
    genesis_toml: bytes
    node_secrets: NodeSecrets
    bls: BlsBackend
    archive: Archive
    journals: Journals
    blobs: BlobStore
    peers_file: Path
    store: LevelStore
    habits: Habits


def run_node(path: Path, *, is_restored_accepted: bool = False) -> int:
    """Run the node in the folder `path` until SIGTERM or SIGINT (0) or an error, whose family is the exit code.

    `is_restored_accepted`: the operator vouches for the journal of votes (`replica.vote_records`).
    """
    try:
        config = Home(path).load_config()
        start_logging(config.log)
    except FlockchainError as error:
        get_logger().error("node cannot start", reason=str(error))
        return _compute_exit_code(error)
    log = get_logger()
    try:
        asyncio.run(_run(Home(path), config, log, is_restored_accepted=is_restored_accepted))
    except FlockchainError as error:
        log.error("node stopped", reason=str(error), kind=type(error).__name__)
        return _compute_exit_code(error)
    except Exception:
        log.exception("node stopped by a mistake of its own")
        return EXIT_INTERNAL
    log.info("node stopped")
    return EXIT_OK


async def _run(home: Home, config: NodeConfig, log: Any, *, is_restored_accepted: bool) -> None:
    stopping = _listen_for_signals()
    async with AsyncExitStack() as stack:
        opened = _open(home, config, stack)
        examine_journals(opened.journals, opened.archive, HostClock().now_ms(), log, is_accepted=is_restored_accepted)
        node = _Node(opened, log)
        stack.push_async_callback(node.stop)
        await node.start()
        ends: set[asyncio.Future[Any]] = {asyncio.create_task(stopping.wait()), node.host.failed}
        ended, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if node.host.failed in ended:
            raise node.host.failed.result()
        log.info("node stops on request")


def _open(home: Home, config: NodeConfig, stack: AsyncExitStack) -> _Opened:
    """Lock the folder and open everything in it; `stack` closes it again in reverse order."""
    genesis_toml = home.load_genesis_toml()
    genesis = load_genesis(genesis_toml)
    bls = get_default_backend()
    stack.enter_context(DataFolderLock(home.data / "lock"))
    node_secrets = home.unlock(home.load_password())
    store = LevelStore(home.data / "chain")
    stack.callback(store.close)
    habits = _build_habits(home, config, genesis)
    resume_install(store, habits.fetched)
    archive = Archive(store)
    if archive.get_head() is None:
        build_genesis(genesis, bls)  # verifies what `assemble_replica` takes for granted: the validators' proofs
    journals = open_journals(home.data)
    stack.callback(journals.close)
    blobs = BlobStore(home.data / "blobs")
    return _Opened(
        config, genesis, genesis_toml, node_secrets, bls, archive, journals, blobs, home.data / "peers", store, habits
    )


class _Node:
    """The parts of a running node, wired."""

    def __init__(self, opened: _Opened, log: Any) -> None:
        self._opened = opened
        self._log = log
        config, secrets = opened.config, opened.node_secrets
        clock = HostClock()
        self.replica = _build_replica(opened, clock)
        genesis_hash = self.replica.participant.genesis_hash
        self.heads = HeadBroadcast()
        self.counters = NodeCounters()
        self.host = Host(self.replica, opened.archive, opened.journals, self.heads, self.counters, clock, log)
        exchange = BlobExchange(opened.blobs, StateGate(lambda: self.host.replica))
        self.evaluator = EvaluatorClient(config.evaluator, self._on_evaluator_changed)
        self.workbench = Workbench(opened.blobs, exchange, self.evaluator, self.host.on_work_done, log)
        self.transport = Transport(
            _build_transport_config(config, opened.peers_file), genesis_hash,
            NodeId(ed25519.get_public_key(secrets.node_seed)), secrets.node_seed, self.host, exchange,
        )  # fmt: skip
        exchange.connect(self.transport)
        self.keeper = SnapshotKeeper(opened.store, opened.archive, opened.habits.offered, opened.habits.fetched, log)
        self.host.connect(self.transport, self.workbench, self.keeper, lambda: _build_replica(opened, clock))
        identity = ChainIdentity(genesis_hash, opened.genesis.chain, opened.genesis_toml, compute_node_version())
        self.backend = NodeBackend(identity, self.host, opened.archive, opened.blobs, self.heads, self.transport)
        self._exchange = exchange
        self._api: Any = None
        self._metrics: Any = None

    async def start(self) -> None:
        """Peers and consensus first, then the API, then the rest."""
        await self.transport.start()
        gc.collect()
        gc.freeze()  # a state of a million keys is not scanned again and again
        self.host.start()
        head = self.replica.ledger.finalized.header
        self._log.info(
            "node started", chain=self._opened.genesis.chain, genesis=self.replica.participant.genesis_hash,
            height=head.height, peers_at=self._opened.config.peer.listen, api_at=self._opened.config.api.listen,
        )  # fmt: skip
        await asyncio.sleep(0)
        await self._start_api()
        await self.evaluator.start()
        if self._opened.config.metrics.listen:
            self._metrics = start_metrics(self._opened.config.metrics.listen, self.counters, self._get_gauges)

    async def stop(self) -> None:
        """Stop in the order in which nothing is left hanging: no new requests, no new events, then the sockets."""
        if self._api is not None:
            self.heads.close()
            await self._api.stop(1)
        self.host.stop()
        await self.host.finish_installing()
        await self.keeper.stop()
        await self.workbench.stop()
        await self._exchange.stop()
        await self.evaluator.stop()
        await self.transport.stop()
        if self._metrics is not None:
            self._metrics.stop()

    async def _start_api(self) -> None:
        from flockchain.rpc.server import build_server

        self._api = build_server(self.backend)
        await self._api.start(self._opened.config.api.listen)

    def _get_gauges(self) -> NodeGauges:
        status = self.backend.get_status()
        return NodeGauges(
            status.height, status.epoch, status.view, status.peers, status.pending_extrinsics, status.is_syncing,
            self.evaluator.is_ready,
        )  # fmt: skip

    def _on_evaluator_changed(self, is_ready: bool, reason: str) -> None:
        if is_ready:
            described = self.evaluator.description
            self._log.info(
                "evaluator ready", implementation=described.implementation if described else "",
                device=described.device if described else "",
            )  # fmt: skip
        else:
            self._log.warning("evaluator not ready", reason=reason)


def _build_replica(opened: _Opened, clock: HostClock) -> Replica:
    secrets = opened.node_secrets
    account = AccountId(ed25519.get_public_key(secrets.account_seed))
    return assemble_replica(
        opened.genesis, opened.bls, opened.archive, Identity(account, ConsensusKeys(secrets.consensus_secret)),
        clock.now_ms(), opened.journals.vote_records,
        DutyKeys(account, secrets.score_seed, secrets.certificate_secret), opened.journals.duty_records,
        opened.habits,
    )  # fmt: skip


def _build_habits(home: Home, config: NodeConfig, genesis: GenesisConfig) -> Habits:
    """How node.toml says that this node joins and what it keeps. Raises `BadNodeConfig`."""
    named = config.sync.read_checkpoint()
    checkpoint = None
    if named is not None:
        checkpoint = Checkpoint(Height(named[0]), Hash(named[1]))
        if checkpoint.height % genesis.epoch_blocks:
            raise BadNodeConfig(
                "sync.checkpoint is not the last block of an epoch", height=checkpoint.height,
                epoch_blocks=genesis.epoch_blocks,
            )  # fmt: skip
    return Habits(
        SnapshotConfig(config.sync.state_sync, config.sync.lag_blocks, checkpoint=checkpoint),
        RetentionConfig(config.storage.snapshot_blocks, config.storage.keep_blocks),
        FileShelf(home.data / "snapshots"),
        FileShelf(home.data / "joining"),
    )


def _build_transport_config(config: NodeConfig, peers_file: Path) -> TransportConfig:
    peer = config.peer
    slots = SlotConfig(peer.max_peers, peer.reserved_slots, peer.max_inbound_per_network, peer.max_inbound_per_host)
    known = AcquaintanceConfig(peers_file, DialConfig(peers_max=peer.max_peers), slots)
    return TransportConfig(
        listen=peer.listen, advertise=peer.advertise, static_peers=peer.peers, is_discovering=peer.discover,
        acquaintances=known,
    )  # fmt: skip


def _listen_for_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


def _compute_exit_code(error: FlockchainError) -> int:
    for family, code in ((InvalidInput, EXIT_INVALID), (Refused, EXIT_REFUSED), (Fault, EXIT_FAULT)):
        if isinstance(error, family):
            return code
    return EXIT_INTERNAL
