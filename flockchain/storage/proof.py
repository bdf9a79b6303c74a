"""Proofs that a state root holds a value under a key, or nothing: the shape of ICS23's `SmtSpec` (PROTOCOL §3).

A leaf is SHA-256(0x00 ‖ SHA-256(key) ‖ SHA-256(value)), an inner node SHA-256(0x01 ‖ left ‖ right), an
empty child 32 zero bytes. A key goes left where its hash has a 0 bit, right where it has a 1, first bit
first; so the directions of a path are the key's own and a proof does not carry them. Absence is shown by
the two neighbours of the key's hash, or one at the edge, between which the tree has nothing.

This verifier is stricter than ICS23's: directions must be the key's hash bits, and a leaf stands no
deeper than it must. It needs no tree, no store and no trust in who made the proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from flockchain.primitives.codec import HASH, ListOf, OptionOf, UnionOf, VarBytes, struct
from flockchain.primitives.limits import STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX
from flockchain.primitives.numbers import HASH_BYTES, ZERO_HASH, Hash

__all__ = [
    "EMPTY_CHILD", "INNER_PREFIX", "LEAF_PREFIX", "PROOF", "TREE_DEPTH_MAX", "AbsenceProof", "ExistenceProof",
    "Proof", "compute_path_bits", "compute_state_leaf", "verify_proof",
]  # fmt: skip

TREE_DEPTH_MAX: Final = 256
LEAF_PREFIX: Final = b"\x00"
INNER_PREFIX: Final = b"\x01"
EMPTY_CHILD: Final = ZERO_HASH


@dataclass(frozen=True, slots=True)
class ExistenceProof:
    """A key, its value, and the siblings from the leaf up to the root."""

    key: bytes
    value: bytes
    siblings: tuple[Hash, ...]


@dataclass(frozen=True, slots=True)
class AbsenceProof:
    """The nearest keys on both sides of an absent one, by hash; None where the tree ends. Never None twice."""

    left: ExistenceProof | None
    right: ExistenceProof | None


Proof = ExistenceProof | AbsenceProof

_EXISTENCE = struct(
    ExistenceProof, key=VarBytes(STATE_KEY_BYTES_MAX), value=VarBytes(STATE_VALUE_BYTES_MAX),
    siblings=ListOf(HASH, TREE_DEPTH_MAX),
)  # fmt: skip
_ABSENCE = struct(AbsenceProof, left=OptionOf(_EXISTENCE), right=OptionOf(_EXISTENCE))
PROOF = UnionOf({0: _EXISTENCE, 1: _ABSENCE})


def verify_proof(root: Hash, key: bytes, value: bytes | None, proof: Proof) -> bool:
    """Whether the tree under `root` holds `value` under `key`, or nothing there when `value` is None."""
    if isinstance(proof, ExistenceProof):
        return value is not None and (proof.key, proof.value) == (key, value) and _verify_existence(root, proof)
    return value is None and _verify_absence(root, key, proof)


def compute_path_bits(key: bytes) -> str:
    """The way from the root to a key: the 256 bits of its hash as '0' (left) and '1' (right)."""
    return f"{int.from_bytes(sha256(key).digest(), 'big'):0256b}"


def compute_state_leaf(key: bytes, value: bytes) -> Hash:
    """The hash of a leaf."""
    return Hash(sha256(LEAF_PREFIX + sha256(key).digest() + sha256(value).digest()).digest())


def _verify_existence(root: Hash, proof: ExistenceProof) -> bool:
    siblings = proof.siblings
    if not proof.value or len(siblings) > TREE_DEPTH_MAX or any(len(sibling) != HASH_BYTES for sibling in siblings):
        return False
    if siblings and siblings[0] == EMPTY_CHILD:
        return False  # alone below its parent: the leaf should stand higher
    bits = compute_path_bits(proof.key)
    node: bytes = compute_state_leaf(proof.key, proof.value)
    for depth, sibling in zip(range(len(siblings) - 1, -1, -1), siblings, strict=True):
        pair = sibling + node if bits[depth] == "1" else node + sibling
        node = sha256(INNER_PREFIX + pair).digest()
    return node == root


def _verify_absence(root: Hash, key: bytes, proof: AbsenceProof) -> bool:
    left, right = proof.left, proof.right
    if left is None and right is None:
        return False
    bits = compute_path_bits(key)
    left_bits = right_bits = ""
    if left is not None:
        left_bits = compute_path_bits(left.key)
        if left_bits >= bits or not _verify_existence(root, left):
            return False
    if right is not None:
        right_bits = compute_path_bits(right.key)
        if right_bits <= bits or not _verify_existence(root, right):
            return False
    fork = _find_fork(left_bits, right_bits) if left is not None and right is not None else -1
    return (left is None or _is_last_below(left_bits, left.siblings, fork)) and (
        right is None or _is_first_below(right_bits, right.siblings, fork)
    )


def _find_fork(left_bits: str, right_bits: str) -> int:
    """The depth at which two paths part: the left one goes left there, the right one right."""
    return next(depth for depth in range(TREE_DEPTH_MAX) if left_bits[depth] != right_bits[depth])


def _is_last_below(bits: str, siblings: Sequence[Hash], fork: int) -> bool:
    """Whether nothing stands to the right of this leaf deeper than the fork (-1: anywhere)."""
    depths = range(fork + 1, len(siblings))
    return all(bits[depth] == "1" or siblings[-1 - depth] == EMPTY_CHILD for depth in depths)


def _is_first_below(bits: str, siblings: Sequence[Hash], fork: int) -> bool:
    """Whether nothing stands to the left of this leaf deeper than the fork (-1: anywhere)."""
    depths = range(fork + 1, len(siblings))
    return all(bits[depth] == "0" or siblings[-1 - depth] == EMPTY_CHILD for depth in depths)
