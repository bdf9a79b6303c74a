"""Simplex votes, the certificates they add up to, and proposals (PROTOCOL §2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from flockchain.primitives.block import BLOCK, Block
from flockchain.primitives.codec import HASH, U16, U64, EnumOf, FixedBytes, VarBytes, struct
from flockchain.primitives.limits import SIGNER_BITMAP_BYTES_MAX
from flockchain.primitives.numbers import ZERO_HASH, Epoch, Hash, View

__all__ = [
    "BLS_SIGNATURE_BYTES", "CERTIFICATE", "PROPOSAL", "VOTE", "Certificate", "Proposal", "Vote", "VoteKind",
    "decode_bitmap", "encode_bitmap",
]  # fmt: skip

BLS_SIGNATURE_BYTES = 96


class VoteKind(IntEnum):
    """What a vote says of a view."""

    NOTARIZE = 0  # this block may be built upon
    NULLIFY = 1  # this view produced nothing in time
    FINALIZE = 2  # I saw the notarization and have not nullified


@dataclass(frozen=True, slots=True)
class Vote:
    """One validator's BLS vote. `block_hash` is zero for NULLIFY. `signer` indexes the epoch's validator set."""

    kind: VoteKind
    epoch: Epoch
    view: View
    block_hash: Hash
    signer: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class Certificate:
    """Votes of more than 2/3 of the epoch's stake over one identical message, aggregated.

    `signers` is a bitmap over the epoch's validator set: bit i of byte i // 8 (least significant first),
    with no trailing zero byte, so that it has one encoding.
    """

    kind: VoteKind
    epoch: Epoch
    view: View
    block_hash: Hash
    signers: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Proposal:
    """A leader's block for `view`, and the leader's own NOTARIZE signature over it.

    `parent_view` is the view in which the parent was notarized (0: the epoch's anchor). A block whose
    header names an earlier view may be proposed again only if it is the last block of its epoch.
    """

    view: View
    parent_view: View
    block: Block
    signature: bytes


VOTE = struct(
    Vote, kind=EnumOf(VoteKind), epoch=U64, view=U64, block_hash=HASH, signer=U16,
    signature=FixedBytes(BLS_SIGNATURE_BYTES),
)  # fmt: skip
CERTIFICATE = struct(
    Certificate, kind=EnumOf(VoteKind), epoch=U64, view=U64, block_hash=HASH,
    signers=VarBytes(SIGNER_BITMAP_BYTES_MAX), signature=FixedBytes(BLS_SIGNATURE_BYTES),
)  # fmt: skip
PROPOSAL = struct(Proposal, view=U64, parent_view=U64, block=BLOCK, signature=FixedBytes(BLS_SIGNATURE_BYTES))


def encode_bitmap(members: frozenset[int] | set[int]) -> bytes:
    """The canonical bitmap of `members` (indexes from 0)."""
    out = bytearray((max(members) // 8 + 1) if members else 0)
    for member in members:
        out[member // 8] |= 1 << (member % 8)
    return bytes(out)


def decode_bitmap(bitmap: bytes) -> tuple[int, ...]:
    """The indexes in a bitmap, ascending. A trailing zero byte is the caller's to refuse (re-encode and compare)."""
    return tuple(8 * at + bit for at, byte in enumerate(bitmap) for bit in range(8) if byte >> bit & 1)


NULLIFY_HASH = ZERO_HASH
