"""What a replica asks its host to do, in order, before the next event is handed in.

The order is a contract: a `PersistVote` or `PersistDuty` is on disk before any later effect of the
same list leaves the machine, and a `CommitBlocks` is in the store before the next event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flockchain.primitives.numbers import Epoch, Hash, NodeId, View
from flockchain.primitives.vote import Certificate
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.storage.archive import BlockCommit

__all__ = [
    "BlockRefused", "CommitBlocks", "Penalise", "PersistDuty", "PersistVote", "ReplicaEffect", "SendMessage",
    "SetTimer", "ViewEntered", "Work",
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
            BlockCommit(item.block_hash, item.block, item.changes, item.encode_receipts()) for item in self.executed
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
class BlockRefused:
    """A proposed block does not execute to what its header says, or breaks V1-V5: we do not notarize it."""

    block_hash: Hash
    reason: str


ReplicaEffect = (
    PersistVote | PersistDuty | CommitBlocks | SendMessage | SetTimer | Work | Penalise | ViewEntered | BlockRefused
)  # fmt: skip
