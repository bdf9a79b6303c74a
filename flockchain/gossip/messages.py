"""What peers say to one another, and its canonical bytes.

Knows the shape of every message and how large it may be. Does not know what a message means: whether
a vote is worth anything is the consensus core's to say, whom to pass it on to is `relay`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any, Final

from flockchain.light.light_block import LIGHT_BLOCK, LightBlock
from flockchain.primitives.block import BLOCK, EVIDENCE_BYTES_MAX, Block
from flockchain.primitives.codec import HASH, U16, U64, DecodeError, ListOf, OptionOf, Struct, Text, UnionOf, VarBytes
from flockchain.primitives.codec import struct as codec_of
from flockchain.primitives.learning import AGGREGATE_VOTE, LEARNING_ITEM, AggregateVote, LearningItem
from flockchain.primitives.limits import (
    CERTIFICATES_PER_REPLY_MAX,
    EXTRINSIC_BYTES_MAX,
    FRAME_BYTES_MAX,
    GOSSIP_BATCH_MAX,
    LEARNING_ITEMS_PER_BLOCK_MAX,
    LIGHT_BLOCKS_PER_REPLY_MAX,
    OWN_VOTES_PER_REPLY_MAX,
    PEERS_MAX,
    SNAPSHOT_CHUNK_BYTES_MAX,
    SNAPSHOTS_PER_OFFER_MAX,
    SYNC_BLOCKS_PER_REPLY_MAX,
)
from flockchain.primitives.numbers import AccountId, Epoch, Hash, Height, NodeId, View
from flockchain.primitives.sizes import compute_bytes_max
from flockchain.primitives.vote import CERTIFICATE, PROPOSAL, VOTE, Certificate, Proposal, Vote
from flockchain.storage.snapshot import SNAPSHOT_INFO, SnapshotInfo

__all__ = [
    "ADDRESS_BYTES_MAX", "AggregateVoteMessage", "BlockReply", "BlockRequest", "BlocksPruned", "BlocksReply",
    "BlocksRequest", "CertificateMessage", "CertificatesReply", "CertificatesRequest", "ChunkReply", "ChunkRequest",
    "EvidenceMessage", "ExtrinsicsMessage", "LearningMessage", "LightBlocksReply", "LightBlocksRequest",
    "MessageKind", "Neighbour", "NeighboursMessage", "OwnVotesReply", "OwnVotesRequest", "PeerMessage",
    "ProposalMessage", "SnapshotsReply", "SnapshotsRequest", "StatusMessage", "VoteMessage",
    "compute_message_bytes_max", "compute_message_kind", "decode_message", "encode_message",
]  # fmt: skip

ADDRESS_BYTES_MAX: Final = 128


class MessageKind(IntEnum):
    """The tag of each message: the first byte of its encoding. Append-only."""

    PROPOSAL = 0
    VOTE = 1
    CERTIFICATE = 2
    EXTRINSICS = 3
    LEARNING = 4
    AGGREGATE_VOTE = 5
    STATUS = 6
    BLOCKS_REQUEST = 7
    BLOCKS_REPLY = 8
    BLOCK_REQUEST = 9
    BLOCK_REPLY = 10
    CERTIFICATES_REQUEST = 11
    CERTIFICATES_REPLY = 12
    EVIDENCE = 13
    NEIGHBOURS = 14
    SNAPSHOTS_REQUEST = 15
    SNAPSHOTS_REPLY = 16
    CHUNK_REQUEST = 17
    CHUNK_REPLY = 18
    LIGHT_BLOCKS_REQUEST = 19
    LIGHT_BLOCKS_REPLY = 20
    BLOCKS_PRUNED = 21
    OWN_VOTES_REQUEST = 22
    OWN_VOTES_REPLY = 23


@dataclass(frozen=True, slots=True)
class ProposalMessage:
    """A leader's block for its view."""

    proposal: Proposal


@dataclass(frozen=True, slots=True)
class VoteMessage:
    """One consensus vote."""

    vote: Vote


@dataclass(frozen=True, slots=True)
class CertificateMessage:
    """One consensus certificate."""

    certificate: Certificate


@dataclass(frozen=True, slots=True)
class ExtrinsicsMessage:
    """Signed extrinsics that wait for a block, each in its canonical bytes."""

    extrinsics: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LearningMessage:
    """Items that wait for a block's learning section."""

    items: tuple[LearningItem, ...]


@dataclass(frozen=True, slots=True)
class AggregateVoteMessage:
    """One committee member's signature over its round's aggregate."""

    vote: AggregateVote


@dataclass(frozen=True, slots=True)
class StatusMessage:
    """Where the sender is: its finalized head, and the view that its consensus is in."""

    height: Height
    finalized_hash: Hash
    epoch: Epoch
    view: View


@dataclass(frozen=True, slots=True)
class BlocksRequest:
    """Finalized blocks from `from_height`, at most `count` of them."""

    from_height: Height
    count: int


@dataclass(frozen=True, slots=True)
class BlocksReply:
    """Consecutive finalized blocks of one epoch, and the finalization of the last of them.

    `certificate` is None when the frame was full before the next certified height: the rest follows on request.
    No blocks at all: the sender cannot serve that height.
    """

    blocks: tuple[Block, ...]
    certificate: Certificate | None


@dataclass(frozen=True, slots=True)
class BlockRequest:
    """The block with this hash, notarized or finalized."""

    block_hash: Hash


@dataclass(frozen=True, slots=True)
class BlockReply:
    """A block that was asked for by its hash."""

    block: Block


@dataclass(frozen=True, slots=True)
class CertificatesRequest:
    """The certificates that lead from `from_view` of an epoch to where the receiver is."""

    epoch: Epoch
    from_view: View


@dataclass(frozen=True, slots=True)
class CertificatesReply:
    """Certificates in ascending order of view."""

    certificates: tuple[Certificate, ...]


@dataclass(frozen=True, slots=True)
class EvidenceMessage:
    """One encoded `Evidence`, so that any leader can put it into a block."""

    evidence: bytes


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A node that the sender is connected to, and where it says that it listens (empty: it does not say)."""

    node_id: NodeId
    address: str


@dataclass(frozen=True, slots=True)
class NeighboursMessage:
    """Every direct connection of the sender; replaces what it said before."""

    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True, slots=True)
class SnapshotsRequest:
    """Which snapshots of the state does the receiver have?"""


@dataclass(frozen=True, slots=True)
class SnapshotsReply:
    """The snapshots that the sender can serve now."""

    snapshots: tuple[SnapshotInfo, ...]


@dataclass(frozen=True, slots=True)
class ChunkRequest:
    """One chunk of the snapshot at `height`."""

    height: Height
    index: int


@dataclass(frozen=True, slots=True)
class ChunkReply:
    """An encoded chunk; no bytes at all: the sender has no such snapshot (any more)."""

    height: Height
    index: int
    data: bytes


@dataclass(frozen=True, slots=True)
class LightBlocksRequest:
    """The light blocks of the last blocks of `count` epochs from `from_epoch`."""

    from_epoch: Epoch
    count: int


@dataclass(frozen=True, slots=True)
class LightBlocksReply:
    """Light blocks of consecutive epochs' last blocks; fewer than asked for, or none, where the sender has no more."""

    light_blocks: tuple[LightBlock, ...]


@dataclass(frozen=True, slots=True)
class BlocksPruned:
    """The answer to a request for blocks below `first_height`, which is the lowest that the sender has."""

    first_height: Height


@dataclass(frozen=True, slots=True)
class OwnVotesRequest:
    """Which votes of the sender's own validator does the receiver know of? The sender is in `epoch`."""

    validator: AccountId
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class OwnVotesReply:
    """Votes and certificates with the asker's signature in the sender's open epoch, those of the latest views.

    To an asker in an earlier epoch: the finalization that ended it, in place of the certificates.
    """

    votes: tuple[Vote, ...]
    certificates: tuple[Certificate, ...]


PeerMessage = (
    ProposalMessage | VoteMessage | CertificateMessage | ExtrinsicsMessage | LearningMessage | AggregateVoteMessage
    | StatusMessage | BlocksRequest | BlocksReply | BlockRequest | BlockReply | CertificatesRequest
    | CertificatesReply | EvidenceMessage | NeighboursMessage | SnapshotsRequest | SnapshotsReply | ChunkRequest
    | ChunkReply | LightBlocksRequest | LightBlocksReply | BlocksPruned | OwnVotesRequest | OwnVotesReply
)  # fmt: skip

_NEIGHBOUR = codec_of(Neighbour, node_id=HASH, address=Text(ADDRESS_BYTES_MAX))
_CODECS: Final[Mapping[MessageKind, Struct[Any]]] = {
    MessageKind.PROPOSAL: codec_of(ProposalMessage, proposal=PROPOSAL),
    MessageKind.VOTE: codec_of(VoteMessage, vote=VOTE),
    MessageKind.CERTIFICATE: codec_of(CertificateMessage, certificate=CERTIFICATE),
    MessageKind.EXTRINSICS: codec_of(
        ExtrinsicsMessage, extrinsics=ListOf(VarBytes(EXTRINSIC_BYTES_MAX), GOSSIP_BATCH_MAX)
    ),
    MessageKind.LEARNING: codec_of(LearningMessage, items=ListOf(LEARNING_ITEM, LEARNING_ITEMS_PER_BLOCK_MAX)),
    MessageKind.AGGREGATE_VOTE: codec_of(AggregateVoteMessage, vote=AGGREGATE_VOTE),
    MessageKind.STATUS: codec_of(StatusMessage, height=U64, finalized_hash=HASH, epoch=U64, view=U64),
    MessageKind.BLOCKS_REQUEST: codec_of(BlocksRequest, from_height=U64, count=U16),
    MessageKind.BLOCKS_REPLY: codec_of(
        BlocksReply, blocks=ListOf(BLOCK, SYNC_BLOCKS_PER_REPLY_MAX), certificate=OptionOf(CERTIFICATE)
    ),
    MessageKind.BLOCK_REQUEST: codec_of(BlockRequest, block_hash=HASH),
    MessageKind.BLOCK_REPLY: codec_of(BlockReply, block=BLOCK),
    MessageKind.CERTIFICATES_REQUEST: codec_of(CertificatesRequest, epoch=U64, from_view=U64),
    MessageKind.CERTIFICATES_REPLY: codec_of(
        CertificatesReply, certificates=ListOf(CERTIFICATE, CERTIFICATES_PER_REPLY_MAX)
    ),
    MessageKind.EVIDENCE: codec_of(EvidenceMessage, evidence=VarBytes(EVIDENCE_BYTES_MAX)),
    MessageKind.NEIGHBOURS: codec_of(NeighboursMessage, neighbours=ListOf(_NEIGHBOUR, PEERS_MAX)),
    MessageKind.SNAPSHOTS_REQUEST: codec_of(SnapshotsRequest),
    MessageKind.SNAPSHOTS_REPLY: codec_of(SnapshotsReply, snapshots=ListOf(SNAPSHOT_INFO, SNAPSHOTS_PER_OFFER_MAX)),
    MessageKind.CHUNK_REQUEST: codec_of(ChunkRequest, height=U64, index=U16),
    MessageKind.CHUNK_REPLY: codec_of(ChunkReply, height=U64, index=U16, data=VarBytes(SNAPSHOT_CHUNK_BYTES_MAX)),
    MessageKind.LIGHT_BLOCKS_REQUEST: codec_of(LightBlocksRequest, from_epoch=U64, count=U16),
    MessageKind.LIGHT_BLOCKS_REPLY: codec_of(
        LightBlocksReply, light_blocks=ListOf(LIGHT_BLOCK, LIGHT_BLOCKS_PER_REPLY_MAX)
    ),
    MessageKind.BLOCKS_PRUNED: codec_of(BlocksPruned, first_height=U64),
    MessageKind.OWN_VOTES_REQUEST: codec_of(OwnVotesRequest, validator=HASH, epoch=U64),
    MessageKind.OWN_VOTES_REPLY: codec_of(
        OwnVotesReply,
        votes=ListOf(VOTE, OWN_VOTES_PER_REPLY_MAX),
        certificates=ListOf(CERTIFICATE, OWN_VOTES_PER_REPLY_MAX),
    ),
}
_PEER_MESSAGE: Final = UnionOf({int(kind): codec for kind, codec in _CODECS.items()})
_REMEMBERED_MESSAGES: Final = 1024
_REMEMBERED_BYTES: Final = 512  # a vote, a certificate: a whole neighbourhood says the same within moments
_KINDS: Final = {int(kind): kind for kind in MessageKind}


def encode_message(message: PeerMessage) -> bytes:
    """The canonical bytes of `message`; raises `EncodeError` for a message over a limit."""
    return _PEER_MESSAGE.encode(message)


def decode_message(data: bytes) -> PeerMessage:
    """The message in `data`; raises `DecodeError` unless it is canonical and within the frame limit."""
    if len(data) > FRAME_BYTES_MAX:
        raise DecodeError("frame is over its limit", most=FRAME_BYTES_MAX, got=len(data))
    message: PeerMessage = _decode_short(data) if len(data) <= _REMEMBERED_BYTES else _PEER_MESSAGE.decode(data)
    return message


@lru_cache(maxsize=_REMEMBERED_MESSAGES)
def _decode_short(data: bytes) -> Any:
    return _PEER_MESSAGE.decode(data)


def compute_message_bytes_max(kind: MessageKind) -> int:
    """The length of the longest message of a kind that fits a frame."""
    return min(1 + compute_bytes_max(_CODECS[kind]), FRAME_BYTES_MAX)


def compute_message_kind(data: bytes) -> MessageKind:
    """The kind of an encoded message, without decoding it; raises `DecodeError` for an unknown one."""
    kind = _KINDS.get(data[0]) if data else None
    if kind is None:
        raise DecodeError("unknown kind of message", byte=data[0] if data else None)
    return kind
