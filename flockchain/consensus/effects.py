"""Everything a consensus core can ask of its host. The order in the returned list is a contract:

1. A `Journal` record is on disk (fsync) before any later effect of the same list leaves the machine.
2. Every block is handed over by exactly one `CheckBlock`, its parent before it, before any `BuildBlock` upon it
   or `FinalizeBlocks` with it (our own `BlockBuilt` and `SyncedTo` blocks excepted: the host has those).
3. `FinalizeBlocks` lists are consecutive: each starts with the child of what was final before.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from flockchain.consensus.guard import GuardRecord
from flockchain.consensus.timers import Timer
from flockchain.primitives.block import Block
from flockchain.primitives.evidence import VoteEvidence
from flockchain.primitives.numbers import Hash, NodeId, View
from flockchain.primitives.vote import Certificate, Proposal, Vote, VoteKind

__all__ = [
    "BlamePeer", "BlameReason", "BroadcastCertificate", "BroadcastProposal", "BroadcastVote", "BuildBlock",
    "CheckBlock", "Effect", "EnteredView", "ExposeVote", "FinalizeBlocks", "Journal", "OwnVoteHeard", "ReportEvidence",
    "RequestBlock", "RequestCertificates", "SendBlock", "SendCertificates", "SendOwnVotes", "SetTimer",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Journal:
    """Append `GUARD_RECORD.encode(record)` to the vote journal and fsync it."""

    record: GuardRecord


@dataclass(frozen=True, slots=True)
class BroadcastProposal:
    """Send our proposal to all validators."""

    proposal: Proposal


@dataclass(frozen=True, slots=True)
class BroadcastVote:
    """Send our vote to all validators. The core has counted it already."""

    vote: Vote


@dataclass(frozen=True, slots=True)
class ExposeVote:
    """Send all validators a leader's vote that came to nothing, in case it contradicts what they were shown."""

    vote: Vote


@dataclass(frozen=True, slots=True)
class BroadcastCertificate:
    """Send a certificate to peers: to all when it is said again, else to as many as make sure that it gets around."""

    certificate: Certificate
    is_repeated: bool = False


@dataclass(frozen=True, slots=True)
class SendCertificates:
    """Send certificates to one peer that is behind or asked; never empty."""

    peer: NodeId
    certificates: tuple[Certificate, ...]


@dataclass(frozen=True, slots=True)
class SendBlock:
    """Send a block to the peer that asked for it."""

    peer: NodeId
    block: Block


@dataclass(frozen=True, slots=True)
class BuildBlock:
    """Build on `parent_hash`, notarized in `parent_view` (0: the anchor); answer BlockBuilt or BuildFailed.

    The block's header names `view`.
    """

    view: View
    parent_view: View
    parent_hash: Hash


@dataclass(frozen=True, slots=True)
class CheckBlock:
    """Execute the block upon its parent; answer BlockChecked with the same view and hash, at any later time."""

    view: View
    block: Block
    block_hash: Hash


@dataclass(frozen=True, slots=True)
class FinalizeBlocks:
    """These blocks are final, oldest first; the certificate finalizes the last one (in a view of its own)."""

    block_hashes: tuple[Hash, ...]
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Hand in `TimerFired(timer)` after `after_ms`."""

    timer: Timer
    after_ms: int


@dataclass(frozen=True, slots=True)
class RequestCertificates:
    """Ask peers for this epoch's certificates of `from_view` and later; another choice of peers each time."""

    from_view: View


@dataclass(frozen=True, slots=True)
class RequestBlock:
    """Ask peers for a block; another choice of peers each time."""

    block_hash: Hash


@dataclass(frozen=True, slots=True)
class ReportEvidence:
    """A validator signed what an honest one does not; proven, for the next block."""

    evidence: VoteEvidence


class BlameReason(StrEnum):
    """What a peer sent that no honest node sends or relays."""

    BAD_VOTE = "a vote with a bad signature or form"
    BAD_CERTIFICATE = "a certificate that does not verify"
    BAD_PROPOSAL = "a proposal that its view's leader did not sign"
    BAD_BODY = "a block whose body is not the one that its header commits to"


@dataclass(frozen=True, slots=True)
class BlamePeer:
    """`peer` sent what no honest node does."""

    peer: NodeId
    reason: BlameReason


@dataclass(frozen=True, slots=True)
class EnteredView:
    """For status and metrics."""

    view: View


@dataclass(frozen=True, slots=True)
class OwnVoteHeard:
    """Our signature, valid, on something that our guard has no record of. Nothing is signed until `SigningAllowed`."""

    kind: VoteKind
    view: View
    block_hash: Hash


@dataclass(frozen=True, slots=True)
class SendOwnVotes:
    """Send a peer the votes of its own and the certificates with its signature that we know of, maybe none."""

    peer: NodeId
    votes: tuple[Vote, ...]
    certificates: tuple[Certificate, ...]


Effect = (
    Journal | BroadcastProposal | BroadcastVote | BroadcastCertificate | SendCertificates | SendBlock | BuildBlock
    | CheckBlock | FinalizeBlocks | SetTimer | RequestCertificates | RequestBlock | ReportEvidence | BlamePeer
    | EnteredView | ExposeVote | OwnVoteHeard | SendOwnVotes
)  # fmt: skip
