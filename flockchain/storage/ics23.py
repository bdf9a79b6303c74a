"""State proofs as ICS23 has them: `CommitmentProof` messages under its `SmtSpec`, and back.

For other chains and for wallets: the bytes made here verify with ICS23's own library, given the spec's leaf and inner
operations, which every proof spells out. Read back, they are taken only in the one form that is written here: fields in
order, none twice, no unknown one, every operation the spec's, each step in the direction of the key's hash. So a proof
has one encoding, and what ICS23 leaves to the prover is not left to it. Protobuf's wire format is small enough to be
written out; this file and `proof.py` are all that a verifier in another language needs.

    CommitmentProof { 1 exist: ExistenceProof | 2 nonexist: NonExistenceProof }
    NonExistenceProof { 1 key  2 left: ExistenceProof  3 right: ExistenceProof }
    ExistenceProof { 1 key  2 value  3 leaf: LeafOp  4 path: InnerOp, from the leaf up }
    LeafOp { 1 hash  2 prehash_key  3 prehash_value  4 length  5 prefix }    InnerOp { 1 hash  2 prefix  3 suffix }
"""

from __future__ import annotations

from typing import Final

from flockchain.primitives.codec import DecodeError
from flockchain.primitives.limits import STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX
from flockchain.primitives.numbers import HASH_BYTES, Hash
from flockchain.storage.proof import (
    INNER_PREFIX,
    LEAF_PREFIX,
    TREE_DEPTH_MAX,
    AbsenceProof,
    ExistenceProof,
    Proof,
    compute_path_bits,
    verify_proof,
)

__all__ = [
    "COMMITMENT_PROOF_BYTES_MAX",
    "decode_commitment_proof",
    "encode_commitment_proof",
    "verify_commitment_proof",
]

_STEP_BYTES_MAX: Final = 48
COMMITMENT_PROOF_BYTES_MAX: Final = 2 * (
    STATE_KEY_BYTES_MAX + STATE_VALUE_BYTES_MAX + TREE_DEPTH_MAX * _STEP_BYTES_MAX + 64
) + (STATE_KEY_BYTES_MAX + 64)

_EXIST, _NONEXIST = 1, 2
_SHA256: Final = b"\x01"  # HashOp.SHA256; LengthOp.NO_PREFIX is 0, which protobuf leaves out
_LEAF_OP: Final = b"\x08" + _SHA256 + b"\x10" + _SHA256 + b"\x18" + _SHA256 + b"\x2a\x01" + LEAF_PREFIX
_INNER_HASH: Final = b"\x08" + _SHA256


def encode_commitment_proof(key: bytes, proof: Proof) -> bytes:
    """A proof of what stands under `key` as an ICS23 `CommitmentProof`."""
    if isinstance(proof, ExistenceProof):
        return _encode_field(_EXIST, _encode_existence(proof))
    body = _encode_field(1, key)
    for number, neighbour in ((2, proof.left), (3, proof.right)):
        if neighbour is not None:
            body += _encode_field(number, _encode_existence(neighbour))
    return _encode_field(_NONEXIST, body)


def decode_commitment_proof(data: bytes) -> tuple[bytes, Proof]:
    """The key and the proof in a `CommitmentProof`. Raises `DecodeError` for any but the bytes written here."""
    if len(data) > COMMITMENT_PROOF_BYTES_MAX:
        raise DecodeError("a proof is too big", most=COMMITMENT_PROOF_BYTES_MAX, got=len(data))
    message = _Message(data)
    exists, absent = message.take(_EXIST), message.take(_NONEXIST)
    message.require_end()
    key: bytes
    proof: Proof
    if exists is not None and absent is None:
        proof = _decode_existence(exists)
        key = proof.key
    elif absent is not None and exists is None:
        key, proof = _decode_absence(absent)
    else:
        raise DecodeError("a proof shows one thing, presence or absence")
    if encode_commitment_proof(key, proof) != data:
        raise DecodeError("a proof is not in its one encoding")
    return key, proof


def verify_commitment_proof(root: Hash, key: bytes, value: bytes | None, data: bytes) -> bool:
    """Whether `data` shows that the tree under `root` holds `value` under `key`, or nothing there when it is None."""
    try:
        proven, proof = decode_commitment_proof(data)
    except DecodeError:
        return False
    return proven == key and verify_proof(root, key, value, proof)


def _encode_existence(proof: ExistenceProof) -> bytes:
    bits = compute_path_bits(proof.key)
    out = bytearray(_encode_field(1, proof.key) + _encode_field(2, proof.value) + _encode_field(3, _LEAF_OP))
    for depth, sibling in zip(range(len(proof.siblings) - 1, -1, -1), proof.siblings, strict=True):
        if bits[depth] == "1":  # the sibling stands to the left, before the node
            step = _INNER_HASH + _encode_field(2, INNER_PREFIX + sibling)
        else:
            step = _INNER_HASH + _encode_field(2, INNER_PREFIX) + _encode_field(3, sibling)
        out += _encode_field(4, step)
    return bytes(out)


def _decode_existence(data: bytes) -> ExistenceProof:
    message = _Message(data)
    key, value = message.take(1), message.take(2)
    if not key or not value or message.take(3) is None:  # encoding it again shows whether the leaf is the spec's
        raise DecodeError("a proof lacks its key, its value or its leaf")
    if len(key) > STATE_KEY_BYTES_MAX or len(value) > STATE_VALUE_BYTES_MAX:
        raise DecodeError("a key or a value is too long", key=len(key), value=len(value))
    siblings: list[Hash] = []
    while (step := message.take(4)) is not None:
        if len(siblings) == TREE_DEPTH_MAX:
            raise DecodeError("a path is longer than a hash has bits", most=TREE_DEPTH_MAX)
        siblings.append(Hash(step[-HASH_BYTES:]))  # and whether this is all that the step says
    message.require_end()
    if any(len(sibling) != HASH_BYTES for sibling in siblings):
        raise DecodeError("a step has no sibling")
    return ExistenceProof(key, value, tuple(siblings))


def _decode_absence(data: bytes) -> tuple[bytes, AbsenceProof]:
    message = _Message(data)
    key, left, right = message.take(1), message.take(2), message.take(3)
    message.require_end()
    if not key or len(key) > STATE_KEY_BYTES_MAX:
        raise DecodeError("an absent key is missing or too long", most=STATE_KEY_BYTES_MAX)
    if left is None and right is None:
        raise DecodeError("an absence has a neighbour")
    return key, AbsenceProof(
        None if left is None else _decode_existence(left), None if right is None else _decode_existence(right)
    )


def _encode_field(number: int, payload: bytes) -> bytes:
    """A field of bytes or of a message; `number` is below 16."""
    return bytes((number << 3 | 2,)) + _encode_varint(len(payload)) + payload


def _encode_varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class _Message:
    """The length-delimited fields of a message, taken in the order of their numbers."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    def take(self, number: int) -> bytes | None:
        """The payload of the next field if it has this number, else None."""
        if self._offset == len(self._data) or self._data[self._offset] != number << 3 | 2:
            return None
        self._offset += 1
        length = self._take_varint()
        if length > len(self._data) - self._offset:
            raise DecodeError("bytes end too early", wanted=length, left=len(self._data) - self._offset)
        self._offset += length
        return self._data[self._offset - length : self._offset]

    def require_end(self) -> None:
        """Refuse whatever has not been taken."""
        if self._offset != len(self._data):
            raise DecodeError("an unknown field, or one out of order", at=self._offset)

    def _take_varint(self) -> int:
        value = 0
        for shift in range(0, 32, 7):
            if self._offset == len(self._data):
                break
            byte = self._data[self._offset]
            self._offset += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise DecodeError("a length does not end")
