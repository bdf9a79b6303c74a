"""The proof verifier refuses whatever was not proved by an honest tree."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.primitives.numbers import ZERO_HASH, Hash
from flockchain.storage.proof import (
    TREE_DEPTH_MAX,
    AbsenceProof,
    ExistenceProof,
    Proof,
    compute_path_bits,
    compute_state_leaf,
    verify_proof,
)
from flockchain.storage.tree import StateTree

ENTRIES = {b"key%d" % number: b"value%d" % number for number in range(200)}
TREE = StateTree.build(ENTRIES.items())
ROOT = TREE.root
ORDERED = sorted(ENTRIES, key=compute_path_bits)
FOLDER = os.environ.get("FLOCKCHAIN_VECTORS")


def prove(key: bytes) -> Any:
    return TREE.prove(key, ENTRIES.get)


def find_absent(low: bytes | None, high: bytes | None) -> bytes:
    """A key that is absent, and whose hash lies between those of two others (None: the edge)."""
    number = 0
    while True:
        key = b"absent%d" % number
        bits = compute_path_bits(key)
        if (low is None or bits > compute_path_bits(low)) and (high is None or bits < compute_path_bits(high)):
            return key
        number += 1


@pytest.mark.parametrize(("low", "high"), [(None, ORDERED[0]), (ORDERED[-1], None), (ORDERED[0], ORDERED[-1])])
def test_absence_is_proved_at_both_edges_and_between(low: bytes | None, high: bytes | None) -> None:
    key = find_absent(low, high)
    proof = prove(key)
    assert verify_proof(ROOT, key, None, proof)
    assert (proof.left is None) == (low is None)
    assert (proof.right is None) == (high is None)


def test_a_present_key_cannot_be_proved_absent_by_any_pair_of_proofs() -> None:
    key = ORDERED[100]
    around = [None, *(prove(other) for other in (*ORDERED[95:106], ORDERED[0], ORDERED[-1]))]
    for left in around:
        for right in around:
            assert not verify_proof(ROOT, key, None, AbsenceProof(left, right))


def test_only_the_nearest_neighbours_prove_absence() -> None:
    key = find_absent(ORDERED[100], ORDERED[101])
    around = [None, *(prove(other) for other in ORDERED[97:105])]
    accepted = [
        (left, right) for left in around for right in around if verify_proof(ROOT, key, None, AbsenceProof(left, right))
    ]
    assert accepted == [(prove(ORDERED[100]), prove(ORDERED[101]))]


def test_no_neighbour_at_all_proves_nothing() -> None:
    assert not verify_proof(ROOT, b"absent", None, AbsenceProof(None, None))
    assert not verify_proof(ZERO_HASH, b"absent", None, AbsenceProof(None, None))


def test_a_proof_is_of_one_key_one_value_and_one_root() -> None:
    key = ORDERED[5]
    proof = prove(key)
    assert verify_proof(ROOT, key, ENTRIES[key], proof)
    assert not verify_proof(ROOT, key, b"other", proof)
    assert not verify_proof(ROOT, key, None, proof)
    assert not verify_proof(ROOT, ORDERED[6], ENTRIES[key], proof)
    assert not verify_proof(Hash(bytes(31) + b"\x01"), key, ENTRIES[key], proof)
    assert not verify_proof(ROOT, key, b"other", replace(proof, value=b"other"))
    assert not verify_proof(ROOT, b"absent", b"", prove(b"absent"))
    assert not verify_proof(ROOT, b"absent", b"value", prove(b"absent"))


def mutate(proof: ExistenceProof) -> list[ExistenceProof]:
    siblings = proof.siblings
    flipped = Hash(bytes([siblings[0][0] ^ 1]) + siblings[0][1:])
    return [
        replace(proof, value=b""),
        replace(proof, siblings=siblings[1:]),
        replace(proof, siblings=siblings[:-1]),
        replace(proof, siblings=(ZERO_HASH, *siblings)),
        replace(proof, siblings=(*siblings, ZERO_HASH)),
        replace(proof, siblings=(flipped, *siblings[1:])),
        replace(proof, siblings=(siblings[0][:-1], *siblings[1:])),  # type: ignore[arg-type]
        replace(proof, siblings=(siblings[0] + b"\x00", *siblings[1:])),  # type: ignore[arg-type]
        replace(proof, siblings=siblings[::-1]),
        replace(proof, siblings=siblings * 40),
    ]


@settings(max_examples=60)
@given(st.sampled_from(ORDERED))
def test_a_changed_proof_is_false(key: bytes) -> None:
    proof = prove(key)
    for changed in mutate(proof):
        assert not verify_proof(ROOT, key, changed.value, changed)


@settings(max_examples=60)
@given(st.integers(0, 10_000))
def test_a_changed_absence_proof_is_false(number: int) -> None:
    key = b"absent%d" % number
    proof = prove(key)
    assert verify_proof(ROOT, key, None, proof)
    for side in ("left", "right"):
        neighbour = getattr(proof, side)
        if neighbour is None:
            continue
        assert not verify_proof(ROOT, key, None, replace(proof, **{side: None}))
        for changed in mutate(neighbour):
            assert not verify_proof(ROOT, key, None, replace(proof, **{side: changed}))


def test_a_leaf_that_stands_deeper_than_it_must_is_false() -> None:
    leaf = compute_state_leaf(b"a", b"1")
    pair = leaf + bytes(32) if compute_path_bits(b"a")[0] == "0" else bytes(32) + leaf
    root = Hash(sha256(b"\x01" + pair).digest())
    assert not verify_proof(root, b"a", b"1", ExistenceProof(b"a", b"1", (ZERO_HASH,)))


def test_a_leaf_under_another_keys_path_is_false() -> None:
    """ICS23 takes the direction of each step from the proof; here it is the key's own."""
    leaf, sibling = compute_state_leaf(b"a", b"1"), Hash(bytes([7]) * 32)
    pair = leaf + sibling if compute_path_bits(b"a")[0] == "1" else sibling + leaf
    root = Hash(sha256(b"\x01" + pair).digest())
    assert not verify_proof(root, b"a", b"1", ExistenceProof(b"a", b"1", (sibling,)))


def test_an_empty_value_is_never_proved() -> None:
    assert not verify_proof(compute_state_leaf(b"a", b""), b"a", b"", ExistenceProof(b"a", b"", ()))


def test_a_path_is_no_longer_than_a_hash_has_bits() -> None:
    too_long = ExistenceProof(b"a", b"1", (Hash(bytes([7]) * 32),) * (TREE_DEPTH_MAX + 1))
    assert not verify_proof(ROOT, b"a", b"1", too_long)


def read_message(data: bytes) -> list[tuple[int, Any]]:
    """The fields of a protobuf message: numbers, and integers or bytes."""
    fields: list[tuple[int, Any]] = []
    offset = 0

    def read_varint() -> int:
        nonlocal offset
        value = shift = 0
        while True:
            byte = data[offset]
            offset += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while offset < len(data):
        tag = read_varint()
        if tag & 7 == 0:
            fields.append((tag >> 3, read_varint()))
            continue
        length = read_varint()
        fields.append((tag >> 3, data[offset : offset + length]))
        offset += length
    return fields


def read_existence(data: bytes) -> ExistenceProof:
    """An ICS23 ExistenceProof under SmtSpec; a step's prefix or suffix holds the sibling."""
    fields = read_message(data)
    steps = [dict(read_message(step)) for number, step in fields if number == 4]
    siblings = [Hash(step.get(3) or step[2][1:]) for step in steps]
    values = {number: value for number, value in fields if number in (1, 2)}
    return ExistenceProof(values[1], values[2], tuple(siblings))


def read_commitment(data: bytes) -> Proof:
    """An ICS23 CommitmentProof: field 1 exists, field 2 does not."""
    ((number, body),) = read_message(data)
    if number == 1:
        return read_existence(body)
    sides = {side: read_existence(part) for side, part in read_message(body) if side > 1}
    return AbsenceProof(sides.get(2), sides.get(3))


@pytest.mark.skipif(FOLDER is None, reason="set FLOCKCHAIN_VECTORS to a folder with ics23_smt")
def test_proofs_published_by_ics23_verify() -> None:
    files = sorted((Path(FOLDER or ".") / "ics23_smt").glob("*.json"))
    assert files
    for file in files:
        case = {name: bytes.fromhex(text) for name, text in json.loads(file.read_bytes()).items()}
        value = case["value"] or None
        proof = read_commitment(case["proof"])
        assert verify_proof(Hash(case["root"]), case["key"], value, proof), file.name
        assert not verify_proof(Hash(case["root"]), case["key"] + b"!", value, proof), file.name
