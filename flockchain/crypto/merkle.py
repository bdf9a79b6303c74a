"""RFC 6962 Merkle trees: the root of a list, and proofs that a leaf stands at an index of it.

Leaves are hashed as SHA-256(0x00 ‖ leaf), pairs as SHA-256(0x01 ‖ left ‖ right), the empty list as
SHA-256(""). Knows bytes and hashes only, not what a leaf means. The functions that end in `_of_hashes`
or `_of_hash` take leaf hashes, for callers that keep those and not the leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.numbers import HASH_BYTES, Hash

__all__ = [
    "EMPTY_ROOT", "compute_audit_path", "compute_audit_path_of_hashes", "compute_leaf_hash", "compute_root",
    "compute_root_of_hashes", "verify_audit_path", "verify_audit_path_of_hash",
]  # fmt: skip

EMPTY_ROOT: Final = Hash(sha256(b"").digest())
_LEAF: Final = b"\x00"
_PAIR: Final = b"\x01"


def compute_root(leaves: Sequence[bytes]) -> Hash:
    """The root over `leaves`, in their order."""
    return compute_root_of_hashes([compute_leaf_hash(leaf) for leaf in leaves])


def compute_audit_path(leaves: Sequence[bytes], index: int) -> tuple[Hash, ...]:
    """The siblings from leaf `index` up to the root. Raises `InvalidInput` for an index outside the list."""
    return compute_audit_path_of_hashes([compute_leaf_hash(leaf) for leaf in leaves], index)


def verify_audit_path(leaf: bytes, index: int, count: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether `leaf` is number `index` of the `count` leaves under `root`."""
    return verify_audit_path_of_hash(compute_leaf_hash(leaf), index, count, path, root)


def compute_leaf_hash(leaf: bytes) -> Hash:
    """SHA-256(0x00 ‖ leaf)."""
    return Hash(sha256(_LEAF + leaf).digest())


def compute_root_of_hashes(hashes: Sequence[Hash]) -> Hash:
    """The root over leaf hashes."""
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    while len(level) > 1:
        level = _compute_next_level(level)
    return level[0]


def compute_audit_path_of_hashes(hashes: Sequence[Hash], index: int) -> tuple[Hash, ...]:
    """The audit path of leaf `index`, from leaf hashes."""
    if not 0 <= index < len(hashes):
        raise InvalidInput("no leaf stands at this index", index=index, leaves=len(hashes))
    level = list(hashes)
    path: list[Hash] = []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        level = _compute_next_level(level)
        index //= 2
    return tuple(path)


def verify_audit_path_of_hash(leaf_hash: bytes, index: int, count: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether a leaf with this hash is number `index` of the `count` leaves under `root` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < count or len(leaf_hash) != HASH_BYTES or any(len(step) != HASH_BYTES for step in path):
        return False
    position, last = index, count - 1
    node = bytes(leaf_hash)
    for step in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            node = sha256(_PAIR + step + node).digest()
            while position and not position & 1:
                position >>= 1
                last >>= 1
        else:
            node = sha256(_PAIR + node + step).digest()
        position >>= 1
        last >>= 1
    return last == 0 and node == root


def _compute_next_level(level: Sequence[Hash]) -> list[Hash]:
    """Hash neighbours in pairs; an odd last one moves up as it is."""
    above = [Hash(sha256(_PAIR + left + right).digest()) for left, right in zip(level[0::2], level[1::2], strict=False)]
    if len(level) & 1:
        above.append(level[-1])
    return above
