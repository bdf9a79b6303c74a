"""Ways to change an ICS23 existence proof, each a function of the parsed message; and what such a message hashes to.

Knows the messages only, by protobuf's own library: no tree, no verifier.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from random import Random
from typing import Any, Final

from flockchain.primitives.numbers import HASH_BYTES, Hash
from flockchain.storage.proof import EMPTY_CHILD, INNER_PREFIX, LEAF_PREFIX
from tests.kit.ics23_reference import parse_commitment

__all__ = ["CHANGES", "Change", "compute_root", "hash_leaf", "turn_step", "wrap"]

Change = Callable[[Any, Random], None]
_SHA512: Final = 2


def wrap(number: int, payload: bytes) -> bytes:
    """A field of bytes or of a message, shorter than 2**14 and numbered below 16."""
    size = len(payload)
    length = bytes((size,)) if size < 0x80 else bytes((size & 0x7F | 0x80, size >> 7))
    return bytes((number << 3 | 2,)) + length + payload


def hash_leaf(proof: Any) -> bytes:
    """The hash of the leaf that an existence proof names."""
    return sha256(LEAF_PREFIX + sha256(proof.key).digest() + sha256(proof.value).digest()).digest()


def compute_root(data: bytes) -> Hash:
    """Where the path of an existence proof leads."""
    proof = parse_commitment(data).exist
    node = hash_leaf(proof)
    for step in proof.path:
        node = sha256(step.prefix + node + step.suffix).digest()
    return Hash(node)


def turn_step(step: Any) -> None:
    """The sibling on the other side."""
    sibling = _get_sibling(step)
    step.prefix, step.suffix = (INNER_PREFIX, sibling) if not step.suffix else (INNER_PREFIX + sibling, b"")


def _get_sibling(step: Any) -> bytes:
    return bytes(step.suffix or step.prefix[-HASH_BYTES:])


def _set_sibling(step: Any, sibling: bytes) -> None:
    if step.suffix:
        step.suffix = sibling
    else:
        step.prefix = step.prefix[:-HASH_BYTES] + sibling


def _flip_a_bit(proof: Any, random: Random) -> None:
    step = random.choice(proof.path)
    sibling = bytearray(_get_sibling(step))
    sibling[random.randrange(HASH_BYTES)] ^= 1 << random.randrange(8)
    _set_sibling(step, bytes(sibling))


def _empty_a_sibling(proof: Any, random: Random) -> None:
    _set_sibling(random.choice([step for step in proof.path if _get_sibling(step) != EMPTY_CHILD]), EMPTY_CHILD)


def _leave_out_a_step(proof: Any, random: Random) -> None:
    del proof.path[random.randrange(len(proof.path))]


def _double_a_step(proof: Any, random: Random) -> None:
    place = random.randrange(len(proof.path))
    _set_path(proof, [*proof.path[: place + 1], *proof.path[place:]])


def _swap_outer_steps(proof: Any, random: Random) -> None:
    _set_path(proof, [proof.path[-1], *proof.path[1:-1], proof.path[0]])


def _set_path(proof: Any, steps: list[Any]) -> None:
    copies = [type(step).FromString(step.SerializeToString()) for step in steps]
    del proof.path[:]
    proof.path.extend(copies)


def _add_a_step(proof: Any, random: Random) -> None:
    proof.path.add(hash=1, prefix=INNER_PREFIX, suffix=EMPTY_CHILD)


def _turn_a_step(proof: Any, random: Random) -> None:
    turn_step(random.choice(proof.path))


def _set_on_a_step(name: str, change: Callable[[Any], Any]) -> Change:
    """`name` of any step becomes what `change` makes of it."""

    def apply(proof: Any, random: Random) -> None:
        step = random.choice(proof.path)
        setattr(step, name, change(getattr(step, name)))

    return apply


def _set_on_leaf(name: str, value: Any) -> Change:
    return lambda proof, random: setattr(proof.leaf, name, value)


def _show_the_keys_hash(proof: Any, random: Random) -> None:
    proof.key, proof.leaf.prehash_key = sha256(proof.key).digest(), 0


def _show_the_values_hash(proof: Any, random: Random) -> None:
    proof.value, proof.leaf.prehash_value = sha256(proof.value).digest(), 0


def _show_an_inner_node_as_a_leaf(proof: Any, random: Random) -> None:
    """The lowest inner node with its children for key and value: without the spec it leads to the same root."""
    leaf, step = hash_leaf(proof), proof.path[0]
    children = step.prefix[len(INNER_PREFIX) :] + leaf + step.suffix
    proof.key, proof.value = children[:HASH_BYTES], children[HASH_BYTES:]
    proof.leaf.prehash_key = proof.leaf.prehash_value = 0
    proof.leaf.prefix = INNER_PREFIX
    del proof.path[0]


CHANGES: Final[dict[str, Change]] = {
    "a bit of a sibling flipped": _flip_a_bit,
    "a sibling said to be empty": _empty_a_sibling,
    "a step left out": _leave_out_a_step,
    "a step twice": _double_a_step,
    "first and last step swapped": _swap_outer_steps,
    "a step more": _add_a_step,
    "a step turned round": _turn_a_step,
    "an inner prefix of another kind": _set_on_a_step("prefix", lambda prefix: b"\2" + prefix[1:]),
    "an inner prefix that begins as a leaf's": _set_on_a_step("prefix", lambda prefix: LEAF_PREFIX + prefix[1:]),
    "an inner prefix that is too long": _set_on_a_step("prefix", lambda prefix: prefix + bytes(HASH_BYTES)),
    "no inner prefix": _set_on_a_step("prefix", lambda prefix: b""),
    "a suffix of a wrong length": _set_on_a_step("suffix", lambda suffix: suffix + b"\0"),
    "an inner hash of another kind": _set_on_a_step("hash", lambda hash: _SHA512),
    "no inner hash": _set_on_a_step("hash", lambda hash: 0),
    "a leaf prefix of another kind": _set_on_leaf("prefix", INNER_PREFIX),
    "a leaf prefix that is too long": _set_on_leaf("prefix", LEAF_PREFIX * 2),
    "no leaf prefix": _set_on_leaf("prefix", b""),
    "a leaf hash of another kind": _set_on_leaf("hash", _SHA512),
    "no leaf hash": _set_on_leaf("hash", 0),
    "lengths before key and value": _set_on_leaf("length", 1),
    "no leaf operation": lambda proof, random: proof.ClearField("leaf"),
    "no key": lambda proof, random: proof.ClearField("key"),
    "no value": lambda proof, random: proof.ClearField("value"),
    "the key's hash for the key": _show_the_keys_hash,
    "the value's hash for the value": _show_the_values_hash,
    "an inner node for a leaf": _show_an_inner_node_as_a_leaf,
}
