"""What a replica asks its host to do, in order, before the next event is handed in.

The order is a contract: a `PersistVote` or `PersistDuty` is on disk before any later effect of the
same list leaves the machine, and a `CommitBlocks` is in the store before the next event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flockchain.consensus.quarantine import Signing
from flockchain.light.light_block import LightBlock
from flockchain.primitives.numbers import Epoch, Hash, Height, NodeId, View
from flockchain.primitives.vote import Certificate
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.runtime.views import find_fixed_sets
from flockchain.storage.archive import BlockCommit
from flockchain.storage.snapshot import SnapshotInfo
from flockchain.storage.snapshot_install import InstallPlan
from flockchain.storage.tree import StateTree

__all__ = [
    "BlockRefused", "CommitBlocks", "InstallPlan", "InstallSnapshot", "JoiningFailed", "KeepChunk", "KeepEpochEnds",
    "Penalise", "PersistDuty", "PersistVote", "PruneBlocks", "ReplicaEffect", "SendMessage", "SetTimer",
    "SigningChanged", "TakeSnapshot", "ViewEntered", "Work",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class PersistVote:
    """Append one encoded guard record to the vote journal and fsync it."""

    record: bytes


@dataclass(frozen=True, slots=True)
class PersistDuty:
    """Append one encoded duty record to the duty journal and fsync it."""

    record: bytes


@dataclass(frozen=True, slots=True)
class CommitBlocks:
    """Write finalized blocks, oldest first, with their state changes in one atomic, synced batch.

    `certificate` is the finalization of the last of them, and thereby of all.
    """

    executed: tuple[ExecutedBlock, ...]
    certificate: Certificate

    def build_commits(self) -> tuple[BlockCommit, ...]:
        """The blocks as the archive takes them."""
        return tuple(
            BlockCommit(
                item.block_hash, item.block, item.changes, item.encode_receipts(), find_fixed_sets(item.changes)
            )
            for item in self.executed
        )


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Send one encoded `PeerMessage` to each of `peers`."""

    peers: tuple[NodeId, ...]
    payload: bytes


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Hand in `TimerFired(timer)` after `after_ms`; an equal timer that still runs is replaced."""

    timer: Any
    after_ms: int


@dataclass(frozen=True, slots=True)
class Work:
    """Hand a work order of `flockchain.duties` to whoever does it; answer with `WorkDone`."""

    order: Any


@dataclass(frozen=True, slots=True)
class Penalise:
    """`peer` sent what no honest node sends."""

    peer: NodeId
    reason: str


@dataclass(frozen=True, slots=True)
class ViewEntered:
    """Consensus moved on; for status and metrics."""

    epoch: Epoch
    view: View


@dataclass(frozen=True, slots=True)
class SigningChanged:
    """Whether this participant's key is used; an operator has to know when it is not."""

    signing: Signing


@dataclass(frozen=True, slots=True)
class BlockRefused:
    """A proposed block does not execute to what its header says, or breaks V1-V5: we do not notarize it."""

    block_hash: Hash
    reason: str


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Freeze the flat state of the block that was just committed, and cut it into chunks for others, in the background.

    `tree` is its state tree, which no later block changes. Failing to is no fault of the chain's.
    """

    height: Height
    block_hash: Hash
    tree: StateTree


@dataclass(frozen=True, slots=True)
class PruneBlocks:
    """Drop some of the blocks below a height from the archive: a bounded number, the rest another time."""

    below: Height


@dataclass(frozen=True, slots=True)
class KeepEpochEnds:
    """Write verified light blocks of epochs' last blocks to the archive."""

    light_blocks: tuple[LightBlock, ...]


@dataclass(frozen=True, slots=True)
class KeepChunk:
    """Put a proven chunk of a snapshot that is being fetched on its shelf."""

    info: SnapshotInfo
    index: int
    data: bytes


@dataclass(frozen=True, slots=True)
class InstallSnapshot:
    """Put the fetched snapshot in place of our chain (`storage.snapshot_install`). This replica ends here.

    The host then makes a new replica from the archive and its journals, as after a restart, and tells it its peers.
    """

    plan: InstallPlan


@dataclass(frozen=True, slots=True)
class JoiningFailed:
    """No snapshot can be had for now: blocks are fetched instead. For the log."""

    reason: str


ReplicaEffect = (
    PersistVote | PersistDuty | CommitBlocks | SendMessage | SetTimer | Work | Penalise | ViewEntered | BlockRefused
    | SigningChanged | TakeSnapshot | PruneBlocks | KeepEpochEnds | KeepChunk | InstallSnapshot | JoiningFailed
)  # fmt: skip
