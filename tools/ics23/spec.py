"""The `ProofSpec` of our state tree, as the message that ICS23's libraries read.

It is put together from the numbers by which `storage.proof` hashes, so it cannot say another thing than the tree does.
It knows nothing of proofs.

    ProofSpec { 1 leaf_spec: LeafOp  2 inner_spec: InnerSpec  3 max_depth  4 min_depth
                5 prehash_key_before_comparison }
    LeafOp    { 1 hash  2 prehash_key  3 prehash_value  4 length  5 prefix }
    InnerSpec { 1 child_order  2 child_size  3 min_prefix_length  4 max_prefix_length  5 empty_child  6 hash }
"""

from __future__ import annotations

from typing import Final

from flockchain.primitives.numbers import HASH_BYTES
from flockchain.storage.proof import EMPTY_CHILD, INNER_PREFIX, LEAF_PREFIX, TREE_DEPTH_MAX

__all__ = ["encode_proof_spec"]

_SHA256: Final = 1  # HashOp.SHA256. LengthOp.NO_PREFIX and a min_depth of 0 are what protobuf leaves out
_LEFT, _RIGHT = 0, 1


def encode_proof_spec() -> bytes:
    """The spec, in protobuf's encoding."""
    leaf = _number(1, _SHA256) + _number(2, _SHA256) + _number(3, _SHA256) + _bytes(5, LEAF_PREFIX)
    inner = (
        _bytes(1, bytes((_LEFT, _RIGHT)))
        + _number(2, HASH_BYTES)
        + _number(3, len(INNER_PREFIX))
        + _number(4, len(INNER_PREFIX))
        + _bytes(5, EMPTY_CHILD)
        + _number(6, _SHA256)
    )
    compares_hashes = 1
    return _bytes(1, leaf) + _bytes(2, inner) + _number(3, TREE_DEPTH_MAX) + _number(5, compares_hashes)


def _number(field: int, value: int) -> bytes:
    """A field of a number below 2**14."""
    tag = bytes((field << 3,))
    return tag + (bytes((value,)) if value < 0x80 else bytes((value & 0x7F | 0x80, value >> 7)))


def _bytes(field: int, value: bytes) -> bytes:
    """A field of fewer than 128 bytes."""
    return bytes((field << 3 | 2, len(value))) + value
