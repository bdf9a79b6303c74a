"""What peers say to one another (`messages`) and whom a message is passed on to (`relay`)."""

from flockchain.gossip.messages import (
    AggregateVoteMessage,
    BlockReply,
    BlockRequest,
    BlocksPruned,
    BlocksReply,
    BlocksRequest,
    CertificateMessage,
    CertificatesReply,
    CertificatesRequest,
    ChunkReply,
    ChunkRequest,
    EvidenceMessage,
    ExtrinsicsMessage,
    LearningMessage,
    LightBlocksReply,
    LightBlocksRequest,
    MessageKind,
    Neighbour,
    NeighboursMessage,
    OwnVotesReply,
    OwnVotesRequest,
    PeerMessage,
    ProposalMessage,
    SnapshotsReply,
    SnapshotsRequest,
    StatusMessage,
    VoteMessage,
    compute_message_kind,
    decode_message,
    encode_message,
)
from flockchain.gossip.relay import RELAYED_KINDS, Relay, RelayConfig

__all__ = [
    "RELAYED_KINDS", "AggregateVoteMessage", "BlockReply", "BlockRequest", "BlocksPruned", "BlocksReply",
    "BlocksRequest", "CertificateMessage", "CertificatesReply", "CertificatesRequest", "ChunkReply", "ChunkRequest",
    "EvidenceMessage", "ExtrinsicsMessage", "LearningMessage", "LightBlocksReply", "LightBlocksRequest",
    "MessageKind", "Neighbour", "NeighboursMessage", "OwnVotesReply", "OwnVotesRequest", "PeerMessage",
    "ProposalMessage", "Relay", "RelayConfig", "SnapshotsReply", "SnapshotsRequest", "StatusMessage", "VoteMessage",
    "compute_message_kind", "decode_message", "encode_message",
]  # fmt: skip
