"""Everything that can happen to a consensus core. Each event carries what the handler needs and no more.

`sender` is the peer a message came from (None: this node itself); it may relay for others, so it is
whom to blame for a bad signature, never whom to believe.
"""

from __future__ import annotations

from dataclasses import dataclass

from flockchain.consensus.guard import SuspectRecord
from flockchain.consensus.timers import Timer
from flockchain.primitives.block import Block
from flockchain.primitives.numbers import Hash, NodeId, View
from flockchain.primitives.vote import Certificate, Proposal, Vote

__all__ = [
    "BlockBuilt", "BlockChecked", "BlockReceived", "BlockRequested", "BuildFailed", "CertificateReceived",
    "CertificatesRequested", "Event", "OwnVotesRequested", "ProposalReceived", "SigningAllowed", "Started", "SyncedTo",
    "TimerFired", "VoteReceived",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Started:
    """The host is ready to perform effects. Comes once; only `SyncedTo` may come before it."""


@dataclass(frozen=True, slots=True)
class SyncedTo:
    """The host holds this block as final, executed and stored: it read it from disk or synced it.

    The host has verified the certificate, which finalizes exactly this block, in this core's epoch.
    """

    block: Block
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class ProposalReceived:
    """A leader's block."""

    proposal: Proposal
    sender: NodeId | None


@dataclass(frozen=True, slots=True)
class VoteReceived:
    """One validator's vote, its signature not verified yet."""

    vote: Vote
    sender: NodeId | None


@dataclass(frozen=True, slots=True)
class CertificateReceived:
    """A certificate, gossiped or in answer to `RequestCertificates`; not verified yet."""

    certificate: Certificate
    sender: NodeId | None


@dataclass(frozen=True, slots=True)
class BlockReceived:
    """A block in answer to `RequestBlock`."""

    block: Block
    sender: NodeId | None


@dataclass(frozen=True, slots=True)
class CertificatesRequested:
    """A peer asks for this epoch's certificates of `from_view` and later."""

    from_view: View
    sender: NodeId


@dataclass(frozen=True, slots=True)
class BlockRequested:
    """A peer asks for a block by its hash."""

    block_hash: Hash
    sender: NodeId


@dataclass(frozen=True, slots=True)
class BlockBuilt:
    """The answer to `BuildBlock`: complete, executed by the host, fit to propose."""

    view: View
    block: Block


@dataclass(frozen=True, slots=True)
class BuildFailed:
    """The host cannot build in this view (its parent does not execute here)."""

    view: View


@dataclass(frozen=True, slots=True)
class BlockChecked:
    """The answer to `CheckBlock`: whether the block executes to what its header says (V1-V5 included)."""

    view: View
    block_hash: Hash
    is_valid: bool


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The time of a `SetTimer` is over."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class SigningAllowed:
    """Whether our records of what we signed may be trusted now (`quarantine`); `suspect` was written down if not."""

    is_allowed: bool
    suspect: SuspectRecord | None = None


@dataclass(frozen=True, slots=True)
class OwnVotesRequested:
    """A peer asks which votes of its own, member `signer`'s, we know of."""

    signer: int
    sender: NodeId


Event = (
    Started | SyncedTo | ProposalReceived | VoteReceived | CertificateReceived | BlockReceived | CertificatesRequested
    | BlockRequested | BlockBuilt | BuildFailed | BlockChecked | TimerFired | SigningAllowed | OwnVotesRequested
)  # fmt: skip
