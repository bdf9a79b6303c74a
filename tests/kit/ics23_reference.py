"""A second verifier of ICS23 proofs, for any spec: the messages by protobuf's own library, the rules from the standard.

Shares nothing with `flockchain.storage`: it takes directions from the proof's operations and not from the key, and it
accepts what the standard accepts. What we write must hold here, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

__all__ = ["SMT_SPEC", "Spec", "holds", "parse_commitment"]

BYTES, MESSAGE, ENUM = 12, 11, 14
_FIELDS: dict[str, list[tuple[str, int, int, str | None]]] = {
    "LeafOp": [("hash", 1, ENUM, "Op"), ("prehash_key", 2, ENUM, "Op"), ("prehash_value", 3, ENUM, "Op"),
               ("length", 4, ENUM, "Length"), ("prefix", 5, BYTES, None)],
    "InnerOp": [("hash", 1, ENUM, "Op"), ("prefix", 2, BYTES, None), ("suffix", 3, BYTES, None)],
    "ExistenceProof": [("key", 1, BYTES, None), ("value", 2, BYTES, None), ("leaf", 3, MESSAGE, "LeafOp"),
                       ("path", 4, MESSAGE, "InnerOp")],
    "NonExistenceProof": [("key", 1, BYTES, None), ("left", 2, MESSAGE, "ExistenceProof"),
                          ("right", 3, MESSAGE, "ExistenceProof")],
    "CommitmentProof": [("exist", 1, MESSAGE, "ExistenceProof"), ("nonexist", 2, MESSAGE, "NonExistenceProof")],
}  # fmt: skip


def _build_messages() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="ics23_reference.proto", package="reference", syntax="proto3")
    for name, count in (("Op", 10), ("Length", 9)):
        enum = file.enum_type.add(name=name)
        for number in range(count):
            enum.value.add(name=f"{name.upper()}_{number}", number=number)
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind, of in fields:
            added = message.field.add(name=field, number=number, type=kind, label=3 if field == "path" else 1)
            if of is not None:
                added.type_name = f".reference.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"reference.{name}")) for name in _FIELDS}


_MESSAGES = _build_messages()


@dataclass(frozen=True)
class Spec:
    """How a tree hashes. `leaf` is hash, prehash of key and of value, length, prefix; 1 is SHA-256, 0 nothing."""

    leaf: tuple[int, int, int, int, bytes]
    inner_hash: int
    child_size: int
    least_prefix: int
    most_prefix: int
    empty_child: bytes
    max_depth: int
    compares_hashes: bool

    @property
    def longest_prefix(self) -> int:
        return self.most_prefix + self.child_size  # two children: one of them may stand in the prefix


SMT_SPEC = Spec((1, 1, 1, 0, b"\0"), 1, 32, 1, 1, bytes(32), 256, True)


def parse_commitment(data: bytes) -> Any:
    """The message, by protobuf's library."""
    message = _MESSAGES["CommitmentProof"]()
    message.ParseFromString(data)
    return message


def holds(spec: Spec, root: bytes, key: bytes, value: bytes | None, data: bytes) -> bool:
    """Whether ICS23's rules accept the proof of a value, or of nothing when it is None."""
    message = parse_commitment(data)
    if value is not None:
        proof = message.exist
        return message.HasField("exist") and proof.key == key and proof.value == value and _leads(spec, proof, root)
    return message.HasField("nonexist") and _is_absent(spec, root, key, message.nonexist)


def _leads(spec: Spec, proof: Any, root: bytes) -> bool:
    leaf = proof.leaf
    *plan, prefix = spec.leaf
    if [leaf.hash, leaf.prehash_key, leaf.prehash_value, leaf.length] != plan or not leaf.prefix.startswith(prefix):
        return False
    if not proof.key or not proof.value or len(proof.path) > spec.max_depth:
        return False
    node = sha256(leaf.prefix + sha256(proof.key).digest() + sha256(proof.value).digest()).digest()
    for step in proof.path:
        if step.hash != spec.inner_hash or step.prefix.startswith(prefix):
            return False
        if not spec.least_prefix <= len(step.prefix) <= spec.longest_prefix or len(step.suffix) % spec.child_size:
            return False
        node = sha256(step.prefix + node + step.suffix).digest()
    return node == root


def _is_absent(spec: Spec, root: bytes, key: bytes, proof: Any) -> bool:
    left = proof.left if proof.HasField("left") else None
    right = proof.right if proof.HasField("right") else None
    if left is None and right is None:
        return False

    def rank(of: bytes) -> bytes:
        return sha256(of).digest() if spec.compares_hashes else of

    if left is not None and (not _leads(spec, left, root) or rank(left.key) >= rank(key)):
        return False
    if right is not None and (not _leads(spec, right, root) or rank(right.key) <= rank(key)):
        return False
    if left is None:
        return all(_is_outermost(spec, step, side=0) for step in right.path)
    if right is None:
        return all(_is_outermost(spec, step, side=1) for step in left.path)
    return _are_neighbours(spec, list(left.path), list(right.path))


def _are_neighbours(spec: Spec, left: Sequence[Any], right: Sequence[Any]) -> bool:
    """Below their last common parent, nothing stands between the two paths."""
    left, right = list(left), list(right)
    while left and right and (left[-1].prefix, left[-1].suffix) == (right[-1].prefix, right[-1].suffix):
        left.pop()
        right.pop()
    if not left or not right or (_get_side(spec, left.pop()), _get_side(spec, right.pop())) != (0, 1):
        return False
    return all(_is_outermost(spec, step, side=1) for step in left) and all(
        _is_outermost(spec, step, side=0) for step in right
    )


def _get_side(spec: Spec, step: Any) -> int | None:
    """0: the child is the left one, 1: the right one."""
    for side in (0, 1):
        before, after = side * spec.child_size, (1 - side) * spec.child_size
        if before + spec.least_prefix <= len(step.prefix) <= before + spec.most_prefix and len(step.suffix) == after:
            return side
    return None


def _is_outermost(spec: Spec, step: Any, side: int) -> bool:
    """The child stands at that side of its parent, or the other child, on that side, is empty."""
    own = _get_side(spec, step)
    if own == side:
        return True
    if own is None:
        return False
    other = step.prefix[-spec.child_size :] if side == 0 else step.suffix
    return bool(other == spec.empty_child)
