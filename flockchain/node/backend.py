"""The node as its API sees it: reads of finalized state, the way in for extrinsics, proofs.

Everything is read on the event loop on which the replica runs, between two of its events, so one answer never mixes two
states. Knows the replica's reading side and the archive; decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from flockchain.crypto.hashing import compute_extrinsic_hash
from flockchain.node.host import Host
from flockchain.node.transport import Transport
from flockchain.primitives.numbers import AccountId, Hash, NodeId, Nonce
from flockchain.replica import events
from flockchain.replica.replica import Replica
from flockchain.rpc.backend import ChainIdentity, NodeStatus, StateProof
from flockchain.rpc.heads import HeadBroadcast
from flockchain.runtime.flock import Runtime
from flockchain.runtime.learning_views import list_tasks
from flockchain.storage.archive import Archive
from flockchain.storage.blobs import BlobStore
from flockchain.storage.proof import PROOF

__all__ = ["NodeBackend", "PoolDoor", "StateGate", "compute_node_version"]


class PoolDoor:
    """The way in for extrinsics, and what waits (`rpc.backend.ExtrinsicPool`)."""

    def __init__(self, host: Host, archive: Archive) -> None:
        self._host = host
        self._archive = archive

    async def submit_extrinsic(self, raw: bytes) -> Hash:
        """Check, keep and gossip. Raises `InvalidInput` or `Refused`; what is already there is accepted again."""
        digest = compute_extrinsic_hash(raw)
        if self.is_pending(digest) or self._archive.find_extrinsic(digest) is not None:
            return digest
        replica = self._host.replica
        checked = replica.require_admissible(raw)
        self._host.handle(events.ExtrinsicsSubmitted((checked,)))
        if not self.is_pending(digest) and self._archive.find_extrinsic(digest) is None:
            replica.admission.add(replica.ledger.finalized.state, checked, is_ours=True)  # raises the pool's reason
        return digest

    def is_pending(self, extrinsic_hash: Hash) -> bool:
        """Whether it waits for a block."""
        return extrinsic_hash in self._host.replica.admission.pool

    def get_next_nonce(self, account: AccountId) -> Nonce:
        """The account's finalized nonce plus what waits without a gap."""
        replica = self._host.replica
        finalized = replica.ledger.executive.runtime.views.get_nonce(replica.ledger.finalized.state, account)
        return Nonce(replica.admission.pool.get_pending_nonce(account, finalized))


class NodeBackend:
    """See `rpc.backend.ChainBackend`."""

    def __init__(
        self, identity: ChainIdentity, host: Host, archive: Archive, blobs: BlobStore, heads: HeadBroadcast,
        transport: Transport,
    ) -> None:  # fmt: skip
        self.identity: Final = identity
        self.pool: Final = PoolDoor(host, archive)
        self.chain: Final = archive
        self.blobs: Final = blobs
        self.heads: Final = heads
        self._host = host
        self._transport = transport

    @property
    def runtime(self) -> Runtime:
        return self._host.replica.ledger.executive.runtime

    def get_status(self) -> NodeStatus:
        """Where the node is now."""
        replica = self._host.replica
        head = replica.ledger.finalized
        return NodeStatus(
            height=head.header.height,
            finalized_hash=head.block_hash,
            view=replica.view,
            epoch=replica.epoch,
            peers=len(self._transport.peers),
            is_syncing=replica.sync.is_syncing,
            pending_extrinsics=len(replica.admission.pool),
            signing=replica.own_votes.signing.value,
        )

    def prove(self, key: bytes) -> StateProof:
        """Prove `key`, present or absent, at the finalized head."""
        head = self._host.replica.ledger.finalized
        get_value = head.state.get
        return StateProof(head.header.height, get_value(key), PROOF.encode(head.tree.prove(key, get_value)))


class StateGate:
    """Which blobs peers may read: a task's suite only validators, everything else everyone (`BlobGate`)."""

    def __init__(self, get_replica: Callable[[], Replica]) -> None:
        self._get_replica = get_replica
        self._height = -1
        self._suites: frozenset[Hash] = frozenset()
        self._validators: frozenset[NodeId] = frozenset()

    def is_readable(self, root: Hash, caller: NodeId | None) -> bool:
        """Whether `caller` (None: unknown) may read the blob."""
        self._refresh()
        return root not in self._suites or caller in self._validators

    def _refresh(self) -> None:
        replica = self._get_replica()
        head = replica.ledger.finalized
        if head.header.height == self._height:
            return
        self._height = head.header.height
        self._suites = frozenset(record.spec.suite_blob for record in list_tasks(head.state))
        views = replica.ledger.executive.runtime.views
        epoch = replica.epoch
        members = views.get_validator_set(head.state, epoch).validators
        self._validators = frozenset(member.node_id for member in members)


def compute_node_version() -> str:
    """The installed version of flockchain."""
    try:
        return version("flockchain")
    except PackageNotFoundError:
        return "unknown"
