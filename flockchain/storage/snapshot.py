"""A snapshot of the state at one height, in chunks of which each is proven by itself.

A chunk holds all entries whose hashed key begins with the same `depth` bits, and the sibling hashes on the way from
their subtree up to the state root. So whoever trusts one header can check each chunk alone, in any order, from
anybody. Where the state is so sparse that the way ends above `depth` (one entry or none stands there), the chunk
holds what stands at that end.

Knows the shape of the state tree. Does not know where chunks lie or how they travel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Final, Protocol

from flockchain.primitives.codec import HASH, U8, U64, ListOf, VarBytes, struct
from flockchain.primitives.errors import Fault, InvalidInput
from flockchain.primitives.limits import (
    SNAPSHOT_CHUNK_BYTES,
    SNAPSHOT_CHUNK_BYTES_MAX,
    SNAPSHOT_CHUNK_ENTRIES_MAX,
    SNAPSHOT_DEPTH_MAX,
    STATE_KEY_BYTES_MAX,
    STATE_VALUE_BYTES_MAX,
)
from flockchain.primitives.numbers import Hash, Height
from flockchain.storage.proof import INNER_PREFIX, compute_path_bits
from flockchain.storage.tree import StateTree, compute_subtree_hash

__all__ = [
    "SNAPSHOT_CHUNK", "SNAPSHOT_INFO", "FrozenState", "SnapshotChunk", "SnapshotInfo", "StateEntry", "StateTooLarge",
    "build_chunk", "choose_depth", "decode_chunk", "verify_chunk",
]  # fmt: skip

_ENTRY_OVERHEAD_BYTES: Final = 8  # the lengths before a key and a value
_SIBLING_BYTES_MAX: Final = 64 * SNAPSHOT_DEPTH_MAX
_WANTED_BYTES: Final = SNAPSHOT_CHUNK_BYTES - _SIBLING_BYTES_MAX


class StateTooLarge(Fault):
    """Some part of the state does not fit the largest chunk that may be."""


class FrozenState(Protocol):
    """The flat state as it was at one height."""

    def get(self, key: bytes) -> bytes | None: ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """Which snapshot: the block whose post-state it is, and into how many chunks (2**depth) it is cut."""

    height: Height
    block_hash: Hash
    state_root: Hash
    depth: int

    @property
    def chunk_count(self) -> int:
        return 1 << self.depth


@dataclass(frozen=True, slots=True)
class StateEntry:
    """One key of the state and its value."""

    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class SnapshotChunk:
    """The entries of one subtree, ascending by hashed key, and its siblings up to the root, deepest first."""

    entries: tuple[StateEntry, ...]
    siblings: tuple[Hash, ...]


SNAPSHOT_INFO = struct(SnapshotInfo, height=U64, block_hash=HASH, state_root=HASH, depth=U8)
_ENTRY = struct(StateEntry, key=VarBytes(STATE_KEY_BYTES_MAX), value=VarBytes(STATE_VALUE_BYTES_MAX))
SNAPSHOT_CHUNK = struct(
    SnapshotChunk, entries=ListOf(_ENTRY, SNAPSHOT_CHUNK_ENTRIES_MAX), siblings=ListOf(HASH, SNAPSHOT_DEPTH_MAX)
)


def choose_depth(state: FrozenState) -> int:
    """The least depth at which no chunk is over SNAPSHOT_CHUNK_BYTES, or the deepest that may be.

    Depends on the state alone, so all nodes cut alike. Raises `StateTooLarge`.
    """
    finest = [0] * (1 << SNAPSHOT_DEPTH_MAX)
    for key, value in state.scan(b""):
        at = int.from_bytes(sha256(key).digest()[:2], "big") >> (16 - SNAPSHOT_DEPTH_MAX)
        finest[at] += len(key) + len(value) + _ENTRY_OVERHEAD_BYTES
    depth, sizes = SNAPSHOT_DEPTH_MAX, finest
    if max(finest) + _SIBLING_BYTES_MAX > SNAPSHOT_CHUNK_BYTES_MAX:
        raise StateTooLarge("a chunk of the state would be too large", bytes=max(finest))
    while depth and max(coarser := [a + b for a, b in zip(sizes[::2], sizes[1::2], strict=True)]) <= _WANTED_BYTES:
        depth, sizes = depth - 1, coarser
    return depth


def build_chunk(tree: StateTree, state: FrozenState, depth: int, index: int) -> SnapshotChunk:
    """Chunk `index` of the snapshot of `tree` at `depth`; `state` is the flat state of the same version."""
    siblings, keys = tree.get_branch(compute_chunk_bits(depth, index))
    entries = []
    for key in keys:
        value = state.get(key)
        if value is None:
            raise Fault("the flat state and the tree disagree on a key", key=key)
        entries.append(StateEntry(key, value))
    return SnapshotChunk(tuple(entries), siblings)


def decode_chunk(data: bytes) -> SnapshotChunk:
    """The chunk in `data`; raises `DecodeError` unless it is canonical and within its limit."""
    if len(data) > SNAPSHOT_CHUNK_BYTES_MAX:
        raise InvalidInput("a chunk is over its limit", most=SNAPSHOT_CHUNK_BYTES_MAX, got=len(data))
    chunk: SnapshotChunk = SNAPSHOT_CHUNK.decode(data)
    return chunk


def verify_chunk(state_root: Hash, depth: int, index: int, chunk: SnapshotChunk) -> bool:
    """Whether these are all entries of the state under `state_root` whose hashed key begins with the chunk's bits.

    (And, where the way ends above `depth`, the one entry that stands at its end.)
    """
    bits = compute_chunk_bits(depth, index)
    reached = len(chunk.siblings)
    if reached > depth or (reached < depth and len(chunk.entries) > 1):
        return False
    paths = [compute_path_bits(entry.key) for entry in chunk.entries]
    if any(not path.startswith(bits[:reached]) for path in paths) or not all(entry.value for entry in chunk.entries):
        return False
    if any(left >= right for left, right in pairwise(paths)):
        return False
    node: bytes = compute_subtree_hash(((entry.key, entry.value) for entry in chunk.entries), reached)
    for at, sibling in zip(range(reached - 1, -1, -1), chunk.siblings, strict=True):
        pair = sibling + node if bits[at] == "1" else node + sibling
        node = sha256(INNER_PREFIX + pair).digest()
    return node == state_root


def compute_chunk_bits(depth: int, index: int) -> str:
    """The first bits of the hashed keys of a chunk."""
    return f"{index:0{depth}b}" if depth else ""
