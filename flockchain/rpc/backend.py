"""What the API needs from the node, and nothing more.

Reads are quick and synchronous, and they are all of finalized state: between two awaits they agree with one another.
The learning views, accounts and validator sets are read from `chain.state` with the runtime's own views, so that the
node does not translate them. Knows nothing of gRPC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from flockchain.primitives.block import Block, Header
from flockchain.primitives.numbers import AccountId, Epoch, Hash, Height, Nonce, View
from flockchain.primitives.validator_set import ValidatorSet
from flockchain.primitives.vote import Certificate
from flockchain.rpc.heads import HeadBroadcast
from flockchain.runtime.flock import Runtime
from flockchain.storage.blobs import BlobStore
from flockchain.storage.overlay import StateReader

__all__ = ["ChainBackend", "ChainIdentity", "ExtrinsicPool", "FinalizedChain", "NodeStatus", "StateProof"]


@dataclass(frozen=True, slots=True)
class ChainIdentity:
    """Which chain this is and what the node is; constant while it runs."""

    genesis_hash: Hash
    chain_name: str
    genesis_toml: bytes
    node_version: str


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """Where the node is now."""

    height: Height  # of the last finalized block
    finalized_hash: Hash
    view: View  # the consensus core's
    epoch: Epoch
    peers: int
    is_syncing: bool
    pending_extrinsics: int
    signing: str = "signing"  # or why not


@dataclass(frozen=True, slots=True)
class StateProof:
    """A canonical proof of one key, present or absent, against the state root of the block at `height`."""

    height: Height
    value: bytes | None
    proof: bytes


class FinalizedChain(Protocol):
    """The finalized chain on disk: `storage.archive.Archive` has this shape."""

    @property
    def state(self) -> StateReader: ...

    def get_block(self, height: Height) -> Block | None: ...

    def require_height(self, height: Height) -> None:
        """Raises `HeightPruned` if the block was dropped, or never came because of a snapshot."""

    def get_header(self, height: Height) -> Header | None:
        """Of every block that is held, and of every epoch's last block."""

    def get_height(self, block_hash: Hash) -> Height | None: ...

    def get_certificate(self, height: Height) -> Certificate | None: ...

    def get_validator_set(self, epoch: Epoch) -> ValidatorSet | None: ...

    def get_receipts(self, height: Height) -> bytes | None: ...

    def find_extrinsic(self, extrinsic_hash: Hash) -> tuple[Height, int] | None: ...


class ExtrinsicPool(Protocol):
    """The way in for extrinsics, and what waits."""

    async def submit_extrinsic(self, raw: bytes) -> Hash:
        """Check, keep and gossip. Raises `InvalidInput` or `Refused`; what is already there is accepted again."""

    def is_pending(self, extrinsic_hash: Hash) -> bool: ...

    def get_next_nonce(self, account: AccountId) -> Nonce:
        """The account's finalized nonce plus what waits without a gap."""


class ChainBackend(Protocol):
    """The node, as the API sees it. Each service asks for the part that it uses."""

    @property
    def identity(self) -> ChainIdentity: ...

    @property
    def runtime(self) -> Runtime: ...

    @property
    def chain(self) -> FinalizedChain: ...

    @property
    def pool(self) -> ExtrinsicPool: ...

    @property
    def blobs(self) -> BlobStore: ...

    @property
    def heads(self) -> HeadBroadcast:
        """The node publishes the height of every block that it has committed."""

    def get_status(self) -> NodeStatus: ...

    def prove(self, key: bytes) -> StateProof:
        """Prove `key` at the finalized head."""
