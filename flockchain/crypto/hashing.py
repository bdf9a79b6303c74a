"""The one hash, and what each hash and root of a block commits to (PROTOCOL §1, §3).

Everything that is hashed under a meaning of its own has a tag, so that no value of one kind can be
passed off as another. Lists are RFC 6962 roots over their items' canonical bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from flockchain.crypto.merkle import compute_root
from flockchain.primitives.block import HEADER, Header
from flockchain.primitives.learning import LEARNING_ITEM, LearningItem
from flockchain.primitives.numbers import Hash
from flockchain.primitives.validator_set import VALIDATOR_SET, ValidatorSet

__all__ = [
    "compute_block_hash", "compute_events_root", "compute_extrinsic_hash", "compute_extrinsics_root",
    "compute_inherents_root", "compute_learning_root", "compute_validators_hash", "hash_tagged", "sha256",
]  # fmt: skip


def sha256(data: bytes) -> Hash:
    """SHA-256 of `data`, 32 bytes."""
    return Hash(hashlib.sha256(data).digest())


def hash_tagged(tag: str, data: bytes) -> Hash:
    """SHA-256("FLOCKCHAIN/" ‖ tag ‖ 0x00 ‖ data). A tag is ASCII without a zero byte, one per meaning."""
    return sha256(b"FLOCKCHAIN/" + tag.encode("ascii") + b"\x00" + data)


def compute_block_hash(header: Header) -> Hash:
    """The identity of a block: its header commits to the body."""
    return hash_tagged("block", HEADER.encode(header))


def compute_validators_hash(validators: ValidatorSet) -> Hash:
    """What a header says of an epoch's set: its epoch, members, keys and stakes."""
    return hash_tagged("validators", VALIDATOR_SET.encode(validators))


def compute_extrinsic_hash(extrinsic: bytes) -> Hash:
    """The identity of an extrinsic: SHA-256 of its canonical bytes, signature included."""
    return sha256(extrinsic)


def compute_learning_root(items: Iterable[LearningItem]) -> Hash:
    """The root of the learning section (V2)."""
    return compute_root([LEARNING_ITEM.encode(item) for item in items])


def compute_extrinsics_root(extrinsics: Sequence[bytes]) -> Hash:
    """The root over the extrinsics' canonical bytes."""
    return compute_root(extrinsics)


def compute_inherents_root(reveal: bytes, evidence: Sequence[bytes]) -> Hash:
    """The root over the randomness reveal, then each piece of evidence."""
    return compute_root([reveal, *evidence])


def compute_events_root(encoded_events: Sequence[bytes]) -> Hash:
    """The root over the encoded events of a block's execution, in their order."""
    return compute_root(encoded_events)
