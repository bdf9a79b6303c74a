"""What peers say to one another (`messages`) and whom a message is passed on to (`relay`)."""

from flockchain.gossip.messages import (
    AggregateVoteMessage,
    BlockReply,
    BlockRequest,
    BlocksReply,
    BlocksRequest,
    CertificateMessage,
    CertificatesReply,
    CertificatesRequest,
    EvidenceMessage,
    ExtrinsicsMessage,
    LearningMessage,
    MessageKind,
    Neighbour,
    NeighboursMessage,
    PeerMessage,
    ProposalMessage,
    StatusMessage,
    VoteMessage,
    compute_message_kind,
    decode_message,
    encode_message,
)
from flockchain.gossip.relay import RELAYED_KINDS, Relay, RelayConfig

__all__ = [
    "RELAYED_KINDS", "AggregateVoteMessage", "BlockReply", "BlockRequest", "BlocksReply", "BlocksRequest",
    "CertificateMessage", "CertificatesReply", "CertificatesRequest", "EvidenceMessage", "ExtrinsicsMessage",
    "LearningMessage", "MessageKind", "Neighbour", "NeighboursMessage", "PeerMessage", "ProposalMessage", "Relay",
    "RelayConfig", "StatusMessage", "VoteMessage", "compute_message_kind", "decode_message", "encode_message",
]  # fmt: skip
