"""RFC 6962 trees: published roots, and paths that prove exactly one leaf at one index."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.crypto.merkle import (
    EMPTY_ROOT,
    compute_audit_path,
    compute_audit_path_of_hashes,
    compute_leaf_hash,
    compute_root,
    compute_root_of_hashes,
    verify_audit_path,
    verify_audit_path_of_hash,
)
from flockchain.primitives.errors import InvalidInput

# The leaves and roots that Certificate Transparency's own tests publish.
PUBLISHED_LEAVES = [
    b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"\x40\x41\x42\x43", bytes(range(0x50, 0x58)),
    bytes(range(0x60, 0x70)),
]  # fmt: skip
PUBLISHED_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LISTS = st.lists(st.binary(max_size=8), min_size=1, max_size=40)


def test_the_roots_are_those_that_rfc_6962_implementations_publish() -> None:
    assert [compute_root(PUBLISHED_LEAVES[:count]).hex() for count in range(1, 9)] == PUBLISHED_ROOTS
    assert compute_root([]) == EMPTY_ROOT == sha256(b"").digest()


def compute_root_by_definition(leaves: list[bytes]) -> bytes:
    """The recursion of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = compute_root_by_definition(leaves[:split]), compute_root_by_definition(leaves[split:])
    return sha256(b"\x01" + left + right).digest()


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=8), max_size=70))
def test_the_root_follows_the_definition_at_every_size(leaves: list[bytes]) -> None:
    assert compute_root(leaves) == compute_root_by_definition(leaves)
    assert compute_root_of_hashes([compute_leaf_hash(leaf) for leaf in leaves]) == compute_root(leaves)


@settings(max_examples=100)
@given(LISTS, st.data())
def test_a_path_proves_its_leaf_at_its_index_and_nothing_else(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    root, path, count = compute_root(leaves), compute_audit_path(leaves, index), len(leaves)
    assert verify_audit_path(leaves[index], index, count, path, root)
    assert verify_audit_path_of_hash(compute_leaf_hash(leaves[index]), index, count, path, root)
    assert compute_audit_path_of_hashes([compute_leaf_hash(leaf) for leaf in leaves], index) == path
    assert not verify_audit_path(leaves[index] + b"!", index, count, path, root)
    assert not verify_audit_path(leaves[index], index, count, (*path, bytes(32)), root)
    if path:
        assert not verify_audit_path(leaves[index], index, count, path[:-1], root)
        assert not verify_audit_path(leaves[index], index, count, (path[0][:-1], *path[1:]), root)
        torn = bytes([path[-1][0] ^ 1]) + path[-1][1:]
        assert not verify_audit_path(leaves[index], index, count, (*path[:-1], torn), root)
    for other in range(count):
        if leaves[other] != leaves[index]:
            assert not verify_audit_path(leaves[index], other, count, path, root)


@pytest.mark.parametrize(("index", "count"), [(-1, 3), (3, 3), (0, 0), (2**70, 3)])
def test_an_index_outside_the_list_proves_nothing(index: int, count: int) -> None:
    leaves = [b"a", b"b", b"c"]
    assert not verify_audit_path(b"a", index, count, compute_audit_path(leaves, 0), compute_root(leaves))
    with pytest.raises(InvalidInput):
        compute_audit_path(leaves[:count], index)


def test_a_path_says_how_deep_the_tree_is_and_not_how_many_leaves_it_has() -> None:
    leaves = [bytes([number]) for number in range(8)]
    path, root = compute_audit_path(leaves, 2), compute_root(leaves)
    assert [count for count in range(40) if verify_audit_path(leaves[2], 2, count, path, root)] == [5, 6, 7, 8]


def test_a_path_through_a_larger_tree_is_no_path_of_a_smaller_one() -> None:
    leaves = [bytes([number]) for number in range(8)]
    path, root = compute_audit_path(leaves, 4), compute_root(leaves)
    assert verify_audit_path(leaves[4], 4, 8, path, root)
    for count in range(1, 5):
        assert not any(verify_audit_path(leaves[4], index, count, path, root) for index in range(count))


def test_an_inner_node_cannot_pass_for_a_leaf() -> None:
    leaves = [b"a", b"b"]
    inner = compute_leaf_hash(b"a") + compute_leaf_hash(b"b")
    assert compute_root([inner]) != compute_root(leaves)
