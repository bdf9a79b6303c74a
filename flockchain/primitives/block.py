"""Headers, bodies and blocks (PROTOCOL §3). Roots and hashes are computed by `flockchain.crypto.hashing`."""

from __future__ import annotations

from dataclasses import dataclass

from flockchain.primitives.codec import HASH, U32, U64, FixedBytes, ListOf, VarBytes, struct
from flockchain.primitives.learning import LEARNING_ITEM, LearningItem
from flockchain.primitives.limits import (
    EVIDENCE_PER_BLOCK_MAX,
    EXTRINSIC_BYTES_MAX,
    EXTRINSICS_PER_BLOCK_MAX,
    LEARNING_ITEMS_PER_BLOCK_MAX,
)
from flockchain.primitives.numbers import AccountId, Epoch, Hash, Height, TimestampMs, View

__all__ = ["BLOCK", "EVIDENCE_BYTES_MAX", "HEADER", "Block", "Header"]

EVIDENCE_BYTES_MAX = 2048


@dataclass(frozen=True, slots=True)
class Header:
    """What a block hash commits to. `state_root` is the block's own post-state."""

    parent: Hash
    height: Height
    epoch: Epoch
    view: View
    proposer: AccountId
    timestamp_ms: TimestampMs
    state_root: Hash
    inherents_root: Hash  # RFC 6962 root over the randomness reveal, then each piece of evidence
    learning_root: Hash  # RFC 6962 root over the encoded learning items (V2)
    extrinsics_root: Hash  # RFC 6962 root over the extrinsics' bytes
    events_root: Hash  # RFC 6962 root over the encoded events of the block's execution
    validators_hash: Hash  # of the validator set of this block's epoch
    next_validators_hash: Hash  # of the following epoch's set
    spec_version: int


@dataclass(frozen=True, slots=True)
class Block:
    """A header and the body it commits to.

    `reveal` is the proposer's BLS signature over (epoch, view), mixed into the chain's randomness.
    `evidence` are encoded `Evidence` records. `extrinsics` are canonical `SignedExtrinsic` bytes.
    """

    header: Header
    reveal: bytes
    evidence: tuple[bytes, ...]
    learning: tuple[LearningItem, ...]
    extrinsics: tuple[bytes, ...]


HEADER = struct(
    Header, parent=HASH, height=U64, epoch=U64, view=U64, proposer=HASH, timestamp_ms=U64, state_root=HASH,
    inherents_root=HASH, learning_root=HASH, extrinsics_root=HASH, events_root=HASH, validators_hash=HASH,
    next_validators_hash=HASH, spec_version=U32,
)  # fmt: skip
BLOCK = struct(
    Block, header=HEADER, reveal=FixedBytes(96), evidence=ListOf(VarBytes(EVIDENCE_BYTES_MAX), EVIDENCE_PER_BLOCK_MAX),
    learning=ListOf(LEARNING_ITEM, LEARNING_ITEMS_PER_BLOCK_MAX),
    extrinsics=ListOf(VarBytes(EXTRINSIC_BYTES_MAX), EXTRINSICS_PER_BLOCK_MAX),
)  # fmt: skip
