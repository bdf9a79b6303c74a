"""Chunks: each proves itself, all of them are the state, and nothing else passes for one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.primitives.codec import DecodeError
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.limits import (
    MIB,
    SNAPSHOT_CHUNK_BYTES,
    SNAPSHOT_CHUNK_BYTES_MAX,
    SNAPSHOT_DEPTH_MAX,
    STATE_VALUE_BYTES_MAX,
)
from flockchain.storage.proof import EMPTY_CHILD
from flockchain.storage.snapshot import (
    SNAPSHOT_CHUNK,
    SnapshotChunk,
    StateEntry,
    StateTooLarge,
    build_chunk,
    choose_depth,
    decode_chunk,
    verify_chunk,
)
from flockchain.storage.tree import StateTree

STATES = st.dictionaries(st.binary(min_size=1, max_size=8), st.binary(min_size=1, max_size=8), min_size=1, max_size=60)
DEPTHS = st.integers(0, SNAPSHOT_DEPTH_MAX)


class Frozen:
    """A flat state that is a dictionary."""

    def __init__(self, values: Mapping[bytes, bytes]) -> None:
        self._values = values

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted(item for item in self._values.items() if item[0].startswith(prefix)))

    def close(self) -> None:
        return None


def cut(values: Mapping[bytes, bytes], depth: int) -> tuple[StateTree, list[SnapshotChunk]]:
    tree = StateTree.build(values.items())
    return tree, [build_chunk(tree, Frozen(values), depth, index) for index in range(1 << depth)]


@settings(max_examples=60, deadline=None)
@given(STATES, st.integers(0, 6))
def test_all_chunks_prove_themselves_and_together_are_the_state(values, depth):
    tree, chunks = cut(values, depth)
    assert all(verify_chunk(tree.root, depth, index, chunk) for index, chunk in enumerate(chunks))
    found = {entry.key: entry.value for chunk in chunks for entry in chunk.entries}
    assert found == values
    assert StateTree.build(found.items()).root == tree.root


@settings(max_examples=60, deadline=None)
@given(STATES, st.integers(0, 6), st.data())
def test_a_chunk_that_leaves_out_adds_or_changes_an_entry_is_refused(values, depth, data):
    tree, chunks = cut(values, depth)
    index = data.draw(st.integers(0, len(chunks) - 1))
    chunk = chunks[index]
    stranger = StateEntry(data.draw(st.binary(min_size=9, max_size=12)), b"x")
    lies = [replace(chunk, entries=(*chunk.entries, stranger))]
    if chunk.entries:
        at = data.draw(st.integers(0, len(chunk.entries) - 1))
        victim = chunk.entries[at]
        others = chunk.entries[:at] + chunk.entries[at + 1 :]
        changed = replace(victim, value=victim.value + b"!")
        lies.append(replace(chunk, entries=others))
        lies.append(replace(chunk, entries=(*chunk.entries[:at], changed, *chunk.entries[at + 1 :])))
        lies.append(replace(chunk, entries=(*chunk.entries, victim)))
    assert not any(verify_chunk(tree.root, depth, index, lie) for lie in lies)


@settings(max_examples=60, deadline=None)
@given(STATES, st.integers(1, 6), st.data())
def test_a_chunk_does_not_pass_for_another(values, depth, data):
    """But where the state is so sparse that both hold the same end of the tree."""
    tree, chunks = cut(values, depth)
    index = data.draw(st.integers(0, len(chunks) - 1))
    for other, chunk in enumerate(chunks):
        is_true = verify_chunk(tree.root, depth, index, chunk)
        assert is_true == (chunk == chunks[index]), other


@settings(max_examples=40, deadline=None)
@given(STATES, STATES, st.integers(0, 4))
def test_a_chunk_of_another_state_is_refused(values, others, depth):
    tree, chunks = cut(values, depth)
    other_tree, _ = cut(others, depth)
    if tree.root != other_tree.root:
        assert not any(
            verify_chunk(other_tree.root, depth, at, chunk) and chunk.siblings for at, chunk in enumerate(chunks)
        )
        assert not all(verify_chunk(other_tree.root, depth, at, chunk) for at, chunk in enumerate(chunks))


@settings(max_examples=60, deadline=None)
@given(STATES, DEPTHS, st.binary(max_size=200))
def test_bytes_are_one_chunk_or_none(values, depth, junk):
    _, chunks = cut(values, min(depth, 3))
    for chunk in chunks:
        data = SNAPSHOT_CHUNK.encode(chunk)
        assert decode_chunk(data) == chunk
        with pytest.raises(DecodeError):
            decode_chunk(data + b"\0")
    with suppress(InvalidInput):
        assert SNAPSHOT_CHUNK.encode(decode_chunk(junk)) == junk


def test_bytes_over_the_limit_are_refused_before_they_are_read():
    with pytest.raises(InvalidInput, match="over its limit"):
        decode_chunk(bytes(SNAPSHOT_CHUNK_BYTES_MAX + 1))


def test_more_siblings_than_the_snapshot_is_deep_are_refused():
    tree, _ = cut({b"a": b"1"}, 0)
    assert verify_chunk(tree.root, 0, 0, SnapshotChunk((StateEntry(b"a", b"1"),), ()))
    assert not verify_chunk(tree.root, 0, 0, SnapshotChunk((StateEntry(b"a", b"1"),), (EMPTY_CHILD,)))


def test_the_depth_is_the_least_at_which_chunks_are_small_enough():
    assert choose_depth(Frozen({b"k": b"v"})) == 0
    large = {b"%d" % number: bytes([1]) * 1000 for number in range(5_000)}
    depth = choose_depth(Frozen(large))
    sizes = [len(SNAPSHOT_CHUNK.encode(chunk)) for chunk in cut(large, depth)[1]]
    assert (
        max(sizes)
        <= SNAPSHOT_CHUNK_BYTES
        < max(len(SNAPSHOT_CHUNK.encode(chunk)) for chunk in cut(large, depth - 1)[1])
    )


def test_a_value_of_the_largest_size_fits_a_chunk():
    values = {b"%d" % number: bytes([7]) * STATE_VALUE_BYTES_MAX for number in range(3)}
    depth = choose_depth(Frozen(values))
    tree, chunks = cut(values, depth)
    assert max(len(SNAPSHOT_CHUNK.encode(chunk)) for chunk in chunks) < SNAPSHOT_CHUNK_BYTES_MAX
    assert all(verify_chunk(tree.root, depth, index, chunk) for index, chunk in enumerate(chunks))


def test_a_state_that_no_depth_can_cut_is_refused(monkeypatch):
    monkeypatch.setattr("flockchain.storage.snapshot.SNAPSHOT_CHUNK_BYTES_MAX", MIB)
    with pytest.raises(StateTooLarge):
        choose_depth(Frozen({b"k": bytes(STATE_VALUE_BYTES_MAX)}))
