"""A signed extrinsic: one account's call into one pallet."""

from __future__ import annotations

from dataclasses import dataclass

from flockchain.primitives.codec import HASH, U8, U32, U64, FixedBytes, VarBytes, struct
from flockchain.primitives.limits import CALL_BYTES_MAX
from flockchain.primitives.numbers import AccountId, Height, Nonce

__all__ = ["CALL", "EXTRINSIC_PAYLOAD", "SIGNED_EXTRINSIC", "Call", "ExtrinsicPayload", "SignedExtrinsic"]


@dataclass(frozen=True, slots=True)
class Call:
    """Which pallet, which of its calls, and the call's encoded arguments."""

    pallet: int
    call: int
    arguments: bytes


@dataclass(frozen=True, slots=True)
class ExtrinsicPayload:
    """What is signed, behind the signing domain (genesis hash) and with the spec version inside.

    Valid in blocks of height `birth` < h <= `birth + lifetime_blocks` only (mortality).
    """

    sender: AccountId
    nonce: Nonce
    tip: int
    birth: Height
    lifetime_blocks: int
    spec_version: int
    call: Call


@dataclass(frozen=True, slots=True)
class SignedExtrinsic:
    """A payload and its sender's ed25519 signature."""

    payload: ExtrinsicPayload
    signature: bytes


CALL = struct(Call, pallet=U8, call=U8, arguments=VarBytes(CALL_BYTES_MAX))
EXTRINSIC_PAYLOAD = struct(
    ExtrinsicPayload, sender=HASH, nonce=U64, tip=U64, birth=U64, lifetime_blocks=U32, spec_version=U32, call=CALL
)
SIGNED_EXTRINSIC = struct(SignedExtrinsic, payload=EXTRINSIC_PAYLOAD, signature=FixedBytes(64))
