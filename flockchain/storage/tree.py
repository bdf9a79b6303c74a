"""The state tree: a compact sparse Merkle tree in memory, persistent, updated a batch at a time (PROTOCOL §3).

A tree is immutable: `apply` gives a new one that shares every untouched node with the old one, which
stays valid; so the roots of the last blocks cost little and a fork of unfinalized blocks costs nothing.
The tree holds keys and hashes; values stay with the flat state. The shape of nodes and hashes is in
`proof`: a leaf stands at the shallowest depth where its hashed key is alone, so the root depends on the
entries only and not on the order in which they came.

Nodes are bare tuples, because there are millions: EMPTY is (32 zero bytes,), a leaf (hash, key), an
inner node (hash, left, right). The first element is always the node's hash, as its parent sees it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

from flockchain.primitives.errors import Fault, InvalidInput, invariant
from flockchain.primitives.numbers import Hash
from flockchain.storage.proof import (
    EMPTY_CHILD,
    INNER_PREFIX,
    TREE_DEPTH_MAX,
    AbsenceProof,
    ExistenceProof,
    Proof,
    compute_path_bits,
    compute_state_leaf,
)

__all__ = ["EmptyTree", "StateTree", "TreeMismatch", "compute_subtree_hash"]

Node = tuple[Any, ...]
_Entry = tuple[str, Node]  # path bits, and the leaf to stand there (EMPTY: nothing)
_EMPTY: Final[Node] = (EMPTY_CHILD,)


class EmptyTree(InvalidInput):
    """An empty tree has no neighbours, so nothing can be proved of it."""


class TreeMismatch(Fault):
    """The flat state and the tree disagree on a value."""


class StateTree:
    """One version of the state, as hashes."""

    __slots__ = ("_top", "hash_count")

    def __init__(self, top: Node, hash_count: int) -> None:
        self._top = top
        self.hash_count: Final = hash_count  # leaf and inner hashes made by the `apply` or `build` that gave this tree

    @classmethod
    def empty(cls) -> StateTree:
        """The tree of no entries; its root is 32 zero bytes."""
        return cls(_EMPTY, 0)

    @classmethod
    def build(cls, items: Iterable[tuple[bytes, bytes]]) -> StateTree:
        """The tree of these entries (about 0.6 s for 100,000)."""
        return cls.empty().apply(dict(items))

    @property
    def root(self) -> Hash:
        """The hash of the whole state."""
        return Hash(self._top[0])

    def apply(self, changes: Mapping[bytes, bytes | None]) -> StateTree:
        """The tree after `changes` (None deletes), in one descent that hashes each touched node once."""
        batch = _Batch(changes)
        top = batch.apply(self._top)
        return StateTree(top, batch.hash_count)

    def prove(self, key: bytes, get_value: Callable[[bytes], bytes | None]) -> Proof:
        """A proof of what stands under `key`. `get_value` reads the flat state of this same version.

        Raises `EmptyTree`, or `TreeMismatch` if `get_value` is of another version.
        """
        if self._top is _EMPTY:
            raise EmptyTree("nothing can be proved of an empty state")
        bits = compute_path_bits(key)
        path, end = _descend(self._top, bits)
        if len(end) == 2 and end[1] == key:
            return _prove_leaf(self._top, end, get_value)
        left, right = _find_neighbours(path, end, bits)
        return AbsenceProof(
            left=None if left is None else _prove_leaf(self._top, left, get_value),
            right=None if right is None else _prove_leaf(self._top, right, get_value),
        )

    def get_branch(self, bits: str) -> tuple[tuple[Hash, ...], Iterator[bytes]]:
        """The subtree where the way along `bits` ends: at their end, or above it at a leaf or at nothing.

        The siblings of the way, deepest first, and the keys of the leaves below, in the order of their hashes.
        """
        siblings: list[Hash] = []
        node = self._top
        for bit in bits:
            if len(node) < 3:
                break
            sibling, node = (node[1], node[2]) if bit == "1" else (node[2], node[1])
            siblings.append(Hash(sibling[0]))
        return tuple(reversed(siblings)), _iterate_keys(node)


def compute_subtree_hash(entries: Iterable[tuple[bytes, bytes]], depth: int) -> Hash:
    """The hash of the subtree at `depth` that holds exactly these entries, whose paths are equal down to there."""
    batch = _Batch(dict(entries))
    node: Node = batch._apply_range(_EMPTY, 0, len(batch.bits), depth)
    return Hash(node[0])


class _Batch:
    """Changes in the order of their path bits, on their way down a tree."""

    __slots__ = ("bits", "hash_count", "leaves")

    def __init__(self, changes: Mapping[bytes, bytes | None]) -> None:
        entries: list[_Entry] = []
        count = 0
        for key, value in changes.items():
            if value is None:
                entries.append((compute_path_bits(key), (EMPTY_CHILD, key)))
                continue
            invariant(bool(value), "an empty value does not exist in state", key=key)
            entries.append((compute_path_bits(key), (compute_state_leaf(key, value), key)))
            count += 1
        entries.sort()
        self.bits = [bits for bits, _ in entries]
        self.leaves: list[Node] = [leaf for _, leaf in entries]
        self.hash_count = count

    def apply(self, top: Node) -> Node:
        return self._apply_range(top, 0, len(self.bits), 0)

    def _apply_range(self, node: Node, low: int, high: int, depth: int) -> Node:
        """`node`, which stands at `depth`, after the changes from `low` to `high`, all of which lead to it."""
        if high - low == 1:
            return self._apply_one(node, self.bits[low], self.leaves[low], depth)
        if low == high:
            return node
        if len(node) == 3:
            left, right = node[1], node[2]
        elif node is _EMPTY:
            left = right = _EMPTY
        else:
            return self._apply_to_leaf(node, low, high, depth)
        bits = self.bits
        middle = bisect_left(bits, bits[low][:depth] + "1", low, high)
        new_left = self._apply_range(left, low, middle, depth + 1)
        new_right = self._apply_range(right, middle, high, depth + 1)
        if new_left is left and new_right is right:
            return node
        return self._join(new_left, new_right)

    def _apply_to_leaf(self, leaf: Node, low: int, high: int, depth: int) -> Node:
        """Several changes lead to where one leaf stands: push it one level down, on its own side."""
        own_bits = compute_path_bits(leaf[1])
        bits = self.bits
        middle = bisect_left(bits, bits[low][:depth] + "1", low, high)
        left, right = (_EMPTY, leaf) if own_bits[depth] == "1" else (leaf, _EMPTY)
        new_left = self._apply_range(left, low, middle, depth + 1)
        new_right = self._apply_range(right, middle, high, depth + 1)
        return self._join(new_left, new_right)

    def _join(self, left: Node, right: Node) -> Node:
        """The node over two children; a leaf that is alone moves up."""
        if left is _EMPTY and len(right) < 3:
            return right
        if right is _EMPTY and len(left) == 2:
            return left
        self.hash_count += 1
        return (sha256(INNER_PREFIX + left[0] + right[0]).digest(), left, right)

    def _apply_one(self, node: Node, bits: str, leaf: Node, depth: int) -> Node:
        """`node` after one change: down without recursion, then up along the parents."""
        top = node
        start = depth
        parents: list[Node] = []
        while len(node) == 3:
            parents.append(node)
            node = node[2] if bits[depth] == "1" else node[1]
            depth += 1
        if leaf[0] is EMPTY_CHILD:
            if node is _EMPTY or node[1] != leaf[1]:
                return top  # there was nothing to delete
            new = _EMPTY
        elif node is _EMPTY:
            new = leaf
        elif node[1] == leaf[1]:
            if node[0] == leaf[0]:
                return top  # the same value again
            new = leaf
        else:
            new = self._split(node, leaf, bits, depth)
        return self._climb(new, parents, bits, start)

    def _split(self, old: Node, new: Node, bits: str, depth: int) -> Node:
        """The subtree, standing at `depth`, of two leaves whose paths part there or further down."""
        old_bits = compute_path_bits(old[1])
        fork = depth
        while old_bits[fork] == bits[fork]:
            fork += 1
            invariant(fork < TREE_DEPTH_MAX, "two keys have one hash", first=old[1], second=new[1])
        left, right = (old, new) if bits[fork] == "1" else (new, old)
        node: Node = (sha256(INNER_PREFIX + left[0] + right[0]).digest(), left, right)
        for above in range(fork - 1, depth - 1, -1):
            left, right = (_EMPTY, node) if bits[above] == "1" else (node, _EMPTY)
            node = (sha256(INNER_PREFIX + left[0] + right[0]).digest(), left, right)
        self.hash_count += fork - depth + 1
        return node

    def _climb(self, node: Node, parents: list[Node], bits: str, start: int) -> Node:
        """Rebuild `parents`, of which the first stands at depth `start`, over the changed `node`."""
        depth = start + len(parents)
        while parents and len(node) < 3:  # what was deleted may leave a leaf alone: it moves up
            depth -= 1
            parent = parents.pop()
            left, right = (parent[1], node) if bits[depth] == "1" else (node, parent[2])
            node = self._join(left, right)
        self.hash_count += len(parents)
        while parents:
            depth -= 1
            parent = parents.pop()
            if bits[depth] == "1":
                left = parent[1]
                node = (sha256(INNER_PREFIX + left[0] + node[0]).digest(), left, node)
            else:
                right = parent[2]
                node = (sha256(INNER_PREFIX + node[0] + right[0]).digest(), node, right)
        return node


def _descend(top: Node, bits: str) -> tuple[list[Node], Node]:
    """The inner nodes along `bits`, and the leaf or EMPTY where they end."""
    path: list[Node] = []
    node = top
    while len(node) == 3:
        path.append(node)
        node = node[2] if bits[len(path) - 1] == "1" else node[1]
    return path, node


def _find_neighbours(path: list[Node], end: Node, bits: str) -> tuple[Node | None, Node | None]:
    """The leaves just before and just after `bits`, where no leaf with these bits stands."""
    left = right = None
    if end is not _EMPTY:
        if compute_path_bits(end[1]) < bits:
            left = end
        else:
            right = end
    for depth in range(len(path) - 1, -1, -1):
        if bits[depth] == "1":
            if left is None and path[depth][1] is not _EMPTY:
                left = _find_edge(path[depth][1], 2)
        elif right is None and path[depth][2] is not _EMPTY:
            right = _find_edge(path[depth][2], 1)
    return left, right


def _iterate_keys(top: Node) -> Iterator[bytes]:
    """The keys of the leaves below, from left to right."""
    waiting = [top]
    while waiting:
        node = waiting.pop()
        if len(node) == 3:
            waiting += (node[2], node[1])
        elif len(node) == 2:
            yield node[1]


def _find_edge(node: Node, side: int) -> Node:
    """The outermost leaf below `node`: side 1 is left, 2 is right."""
    while len(node) == 3:
        node = node[side] if node[side] is not _EMPTY else node[3 - side]
    return node


def _prove_leaf(top: Node, leaf: Node, get_value: Callable[[bytes], bytes | None]) -> ExistenceProof:
    key: bytes = leaf[1]
    value = get_value(key)
    if value is None or compute_state_leaf(key, value) != leaf[0]:
        raise TreeMismatch("the flat state and the tree disagree on a value", key=key)
    bits = compute_path_bits(key)
    path, _ = _descend(top, bits)
    siblings = [node[1][0] if bits[depth] == "1" else node[2][0] for depth, node in enumerate(path)]
    return ExistenceProof(key, value, tuple(reversed(siblings)))
