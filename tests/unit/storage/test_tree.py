"""The state tree: its root depends on the entries alone, and old versions stay what they were."""

from __future__ import annotations

import json
import random
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.primitives.errors import InvariantBroken
from flockchain.primitives.numbers import ZERO_HASH
from flockchain.storage.proof import PROOF, compute_path_bits, compute_state_leaf, verify_proof
from flockchain.storage.tree import EmptyTree, StateTree, TreeMismatch

GOLDEN = Path(__file__).parents[2] / "vectors" / "state_tree.json"
KEYS = [f"k{number}".encode() for number in range(24)]
CHANGES = st.dictionaries(st.sampled_from(KEYS), st.none() | st.binary(min_size=1, max_size=3), max_size=24)


def compute_root_by_definition(entries: dict[bytes, bytes], depth: int = 0) -> bytes:
    """The tree's shape, word for word: a leaf where a hashed key is alone, an inner node where it is not."""
    if not entries:
        return bytes(32)
    if len(entries) == 1:
        ((key, value),) = entries.items()
        return sha256(b"\x00" + sha256(key).digest() + sha256(value).digest()).digest()
    halves: tuple[dict[bytes, bytes], dict[bytes, bytes]] = ({}, {})
    for key, value in entries.items():
        bit = sha256(key).digest()[depth // 8] >> (7 - depth % 8) & 1
        halves[bit][key] = value
    left, right = (compute_root_by_definition(half, depth + 1) for half in halves)
    return sha256(b"\x01" + left + right).digest()


def merge(entries: dict[bytes, bytes], changes: dict[bytes, bytes | None]) -> dict[bytes, bytes]:
    after: dict[bytes, bytes | None] = {**entries, **changes}
    return {key: value for key, value in after.items() if value is not None}


def find_keys_that_share(bits: int, count: int) -> list[bytes]:
    """Keys whose paths part only after this many bits."""
    found: list[bytes] = []
    number = 0
    prefix = compute_path_bits(b"0")[:bits]
    while len(found) < count:
        key = str(number).encode()
        if compute_path_bits(key).startswith(prefix):
            found.append(key)
        number += 1
    return found


@settings(max_examples=100)
@given(st.lists(CHANGES, max_size=6))
def test_the_root_is_that_of_the_definition_after_any_batches(batches: list[dict[bytes, bytes | None]]) -> None:
    tree, entries = StateTree.empty(), dict[bytes, bytes]()
    history = []
    for changes in batches:
        tree, entries = tree.apply(changes), merge(entries, changes)
        history.append((tree, compute_root_by_definition(entries)))
    for version, root in history:
        assert version.root == root
    assert StateTree.build(entries.items()).root == tree.root


@settings(max_examples=100)
@given(CHANGES, CHANGES)
def test_every_key_is_proved_present_or_absent(
    first: dict[bytes, bytes | None], second: dict[bytes, bytes | None]
) -> None:
    tree = StateTree.empty().apply(first).apply(second)
    entries = merge(merge({}, first), second)
    for key in KEYS:
        if not entries:
            with pytest.raises(EmptyTree):
                tree.prove(key, entries.get)
            continue
        proof = tree.prove(key, entries.get)
        assert verify_proof(tree.root, key, entries.get(key), proof)
        assert PROOF.decode(PROOF.encode(proof)) == proof


def test_the_empty_tree_has_the_empty_childs_hash() -> None:
    assert StateTree.empty().root == ZERO_HASH
    assert StateTree.empty().apply({b"a": b"1"}).apply({b"a": None}).root == ZERO_HASH
    assert StateTree.empty().apply({b"a": None, b"b": None}).root == ZERO_HASH


def test_one_entry_is_a_leaf_at_the_root() -> None:
    assert StateTree.build([(b"a", b"1")]).root == compute_state_leaf(b"a", b"1")


def test_keys_that_share_a_long_prefix_stand_deep_and_come_up_again() -> None:
    keys = find_keys_that_share(12, 3)
    entries = dict.fromkeys(keys, b"v")
    tree = StateTree.build(entries.items())
    assert tree.root == compute_root_by_definition(entries)
    for key in keys:
        proof = tree.prove(key, entries.get)
        assert verify_proof(tree.root, key, b"v", proof)
    for gone in keys[:-1]:
        tree = tree.apply({gone: None})
        del entries[gone]
        assert tree.root == compute_root_by_definition(entries)
    assert tree.root == compute_state_leaf(keys[-1], b"v")


def test_old_versions_stay_valid() -> None:
    first = StateTree.build([(b"a", b"1"), (b"b", b"2")])
    root = first.root
    second = first.apply({b"a": b"9", b"c": b"3", b"b": None})
    assert first.root == root != second.root
    assert verify_proof(root, b"b", b"2", first.prove(b"b", {b"a": b"1", b"b": b"2"}.get))
    assert verify_proof(second.root, b"b", None, second.prove(b"b", {b"a": b"9", b"c": b"3"}.get))


def test_changes_that_change_nothing_hash_no_inner_node() -> None:
    tree = StateTree.build([(key, b"v") for key in KEYS])
    same = tree.apply({KEYS[0]: b"v", KEYS[1]: b"v", b"absent": None})
    assert same.root == tree.root
    assert same.hash_count == 2  # the two leaves, to see that they are equal


def test_a_batch_hashes_each_node_once_and_far_fewer_than_one_by_one() -> None:
    shuffled = random.Random(5)
    entries = [(b"key%d" % number, b"value") for number in range(20_000)]
    tree = StateTree.build(entries)
    changes: dict[bytes, bytes | None] = {key: b"other" for key, _ in shuffled.sample(entries, 1000)}
    batched = tree.apply(changes)
    one_by_one, hashes = tree, 0
    for key, value in changes.items():
        one_by_one = one_by_one.apply({key: value})
        hashes += one_by_one.hash_count
    assert batched.root == one_by_one.root
    assert batched.hash_count < 8_000
    assert hashes > 14_000


def test_building_hashes_each_entry_about_two_and_a_half_times() -> None:
    tree = StateTree.build((b"key%d" % number, b"value") for number in range(10_000))
    assert 20_000 < tree.hash_count < 26_000


def test_an_empty_value_is_our_own_mistake() -> None:
    with pytest.raises(InvariantBroken):
        StateTree.empty().apply({b"a": b""})


def test_values_of_another_version_are_a_fault() -> None:
    tree = StateTree.build([(b"a", b"1"), (b"b", b"2")])
    for values in ({}, {b"a": b"2", b"b": b"2"}):
        with pytest.raises(TreeMismatch):
            tree.prove(b"a", values.get)
    with pytest.raises(TreeMismatch):
        tree.prove(b"absent", {}.get)


def compute_golden() -> list[dict[str, str]]:
    """Roots and encoded proofs along a fixed history."""
    entries: dict[bytes, bytes] = {}
    tree = StateTree.empty()
    steps: list[dict[str, str]] = []
    for number in range(1, 13):
        changes: dict[bytes, bytes | None] = {b"key/%d" % (number * 7 % 13): b"value/%d" % number}
        if number % 4 == 0:
            changes[b"key/%d" % ((number - 2) * 7 % 13)] = None
        tree, entries = tree.apply(changes), merge(entries, changes)
        step = {"root": tree.root.hex()}
        for key in (b"key/7", b"key/absent"):
            step[key.decode()] = PROOF.encode(tree.prove(key, entries.get)).hex()
        steps.append(step)
    return steps


def test_roots_and_proofs_are_the_golden_ones() -> None:
    assert compute_golden() == json.loads(GOLDEN.read_text(encoding="ascii"))
