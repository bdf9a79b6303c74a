"""Proofs leave as ICS23 has them, hold by its rules, and come back in one encoding only."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.primitives.codec import DecodeError
from flockchain.primitives.limits import STATE_KEY_BYTES_MAX
from flockchain.primitives.numbers import ZERO_HASH, Hash
from flockchain.storage.ics23 import (
    COMMITMENT_PROOF_BYTES_MAX,
    decode_commitment_proof,
    encode_commitment_proof,
    verify_commitment_proof,
)
from flockchain.storage.proof import AbsenceProof, ExistenceProof
from flockchain.storage.tree import StateTree
from tests.kit.ics23_reference import SMT_SPEC, holds, parse_commitment

ENTRIES = {b"key%d" % number: b"value%d" % number for number in range(200)}
TREE = StateTree.build(ENTRIES.items())
FOLDER = os.environ.get("FLOCKCHAIN_VECTORS")

entries = st.dictionaries(st.binary(min_size=1, max_size=40), st.binary(min_size=1, max_size=40), min_size=1)


def prove(key: bytes, tree: StateTree = TREE, known: dict[bytes, bytes] = ENTRIES) -> bytes:
    return encode_commitment_proof(key, tree.prove(key, known.get))


@settings(max_examples=150, deadline=None)
@given(entries, st.binary(min_size=1, max_size=40))
def test_every_proof_of_every_tree_holds_here_and_by_ics23s_rules(known: dict[bytes, bytes], other: bytes) -> None:
    tree = StateTree.build(known.items())
    for key in [*list(known)[:8], other]:
        value, data = known.get(key), prove(key, tree, known)
        assert verify_commitment_proof(tree.root, key, value, data)
        assert holds(SMT_SPEC, tree.root, key, value, data)
        assert decode_commitment_proof(data) == (key, tree.prove(key, known.get))
        assert parse_commitment(data).SerializeToString(deterministic=True) == data


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 400), st.data())
def test_no_changed_byte_verifies(number: int, data: st.DataObject) -> None:
    key = b"key%d" % number
    raw = bytearray(prove(key))
    kind = data.draw(st.sampled_from(["flip", "cut", "grow", "drop", "double"]))
    at = data.draw(st.integers(0, len(raw) - 1))
    match kind:
        case "flip":
            raw[at] ^= data.draw(st.integers(1, 255))
        case "cut":
            del raw[at:]
        case "grow":
            raw += data.draw(st.binary(min_size=1, max_size=40))
        case "drop":
            del raw[at]
        case "double":
            raw[at:at] = raw[at : at + data.draw(st.integers(1, 40))]
    if bytes(raw) != prove(key):
        assert not verify_commitment_proof(TREE.root, key, ENTRIES.get(key), bytes(raw))


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_garbage_is_refused_and_never_raises_anything_else(data: bytes) -> None:
    assert not verify_commitment_proof(TREE.root, b"key1", b"value1", data)
    with pytest.raises(DecodeError):
        decode_commitment_proof(data)


def test_a_proof_is_of_its_key_its_value_and_its_root() -> None:
    shown = prove(b"key1")
    assert not verify_commitment_proof(TREE.root, b"key2", b"value1", shown)
    assert not verify_commitment_proof(TREE.root, b"key1", b"value2", shown)
    assert not verify_commitment_proof(TREE.root, b"key1", None, shown)
    assert not verify_commitment_proof(Hash(bytes(32)), b"key1", b"value1", shown)
    absent = prove(b"nothing")
    assert verify_commitment_proof(TREE.root, b"nothing", None, absent)
    assert not verify_commitment_proof(TREE.root, b"nothing", b"", absent)
    assert not verify_commitment_proof(TREE.root, b"nothing else", None, absent)


def test_the_absence_of_another_key_cannot_be_passed_off_by_the_message_of_a_neighbour() -> None:
    absent = TREE.prove(b"nothing", ENTRIES.get)
    assert isinstance(absent, AbsenceProof)
    renamed = encode_commitment_proof(b"something", absent)
    assert not verify_commitment_proof(TREE.root, b"nothing", None, renamed)
    assert holds(SMT_SPEC, TREE.root, b"nothing", None, renamed)  # ICS23 does not look at the name
    for key in ENTRIES:
        assert not verify_commitment_proof(TREE.root, key, None, encode_commitment_proof(key, absent))


def field(number: int, payload: bytes) -> bytes:
    return bytes([number << 3 | 2, len(payload)]) + payload


LEAF = bytes.fromhex("0801100118012a0100")


@pytest.mark.parametrize(
    "body",
    {
        "no leaf": field(1, b"a") + field(2, b"1"),
        "another leaf": field(1, b"a") + field(2, b"1") + field(3, LEAF[:-1] + b"\1"),
        "a longer leaf prefix": field(1, b"a") + field(2, b"1") + field(3, bytes.fromhex("0801100118012a020000")),
        "no value": field(1, b"a") + field(3, LEAF),
        "an empty value": field(1, b"a") + field(2, b"") + field(3, LEAF),
        "no key": field(2, b"1") + field(3, LEAF),
        "out of order": field(2, b"1") + field(1, b"a") + field(3, LEAF),
        "a field twice": field(1, b"a") + field(1, b"a") + field(2, b"1") + field(3, LEAF),
        "an unknown field": field(1, b"a") + field(2, b"1") + field(3, LEAF) + field(9, b""),
        "a long length": b"\x0a\x81\x00a" + field(2, b"1") + field(3, LEAF),
        "an empty step": field(1, b"a") + field(2, b"1") + field(3, LEAF) + field(4, b""),
        "a step without a hash": field(1, b"a") + field(2, b"1") + field(3, LEAF)
        + field(4, field(2, b"\1") + field(3, bytes(range(32)))),
        "both sides": field(1, b"a") + field(2, b"1") + field(3, LEAF)
        + field(4, b"\x08\x01" + field(2, b"\1" + bytes(32)) + field(3, bytes(range(32)))),
    }.items(),
    ids=lambda case: case[0],
)  # fmt: skip
def test_a_message_in_another_form_is_refused(body: tuple[str, bytes]) -> None:
    whole = field(1, field(1, b"a") + field(2, b"1") + field(3, LEAF))
    assert decode_commitment_proof(whole) == (b"a", ExistenceProof(b"a", b"1", ()))
    for data in (field(1, body[1]), field(2, field(1, b"b") + field(2, body[1]))):
        with pytest.raises(DecodeError):
            decode_commitment_proof(data)


def test_a_step_against_the_keys_hash_is_refused() -> None:
    right, left = Hash(bytes(range(32))), field(2, b"\1" + bytes(range(32)))
    steps = {field(4, b"\x08\x01" + left), field(4, b"\x08\x01" + field(2, b"\1") + field(3, right))}
    start = field(1, b"a") + field(2, b"1") + field(3, LEAF)
    own = encode_commitment_proof(b"a", ExistenceProof(b"a", b"1", (right,)))
    assert own in {field(1, start + step) for step in steps}
    for step in steps:
        if field(1, start + step) != own:
            with pytest.raises(DecodeError):
                decode_commitment_proof(field(1, start + step))


def test_what_ics23_leaves_open_is_closed_here() -> None:
    """ICS23 accepts a leaf that stands deeper than it must; here its place is fixed."""
    deeper = StateTree.build([(b"a", b"1")]).prove(b"a", {b"a": b"1"}.get)
    assert isinstance(deeper, ExistenceProof)
    deeper = replace(deeper, siblings=(ZERO_HASH,))
    data = encode_commitment_proof(b"a", deeper)
    message = parse_commitment(data).exist
    root = Hash(_compute_root(message))
    assert holds(SMT_SPEC, root, b"a", b"1", data)
    assert not verify_commitment_proof(root, b"a", b"1", data)


def _compute_root(message: object) -> bytes:
    leaf, path = message.leaf, message.path  # type: ignore[attr-defined]
    node = sha256(leaf.prefix + sha256(b"a").digest() + sha256(b"1").digest()).digest()
    for step in path:
        node = sha256(step.prefix + node + step.suffix).digest()
    return node


def test_what_is_too_big_is_refused_before_it_is_read() -> None:
    with pytest.raises(DecodeError, match="too big"):
        decode_commitment_proof(bytes(COMMITMENT_PROOF_BYTES_MAX + 1))
    deep = ExistenceProof(b"a", b"1", (Hash(bytes(range(32))),) * 256)
    assert decode_commitment_proof(encode_commitment_proof(b"a", deep)) == (b"a", deep)
    long = ExistenceProof(b"k" * (STATE_KEY_BYTES_MAX + 1), b"1", ())
    with pytest.raises(DecodeError, match="too long"):
        decode_commitment_proof(encode_commitment_proof(b"", long))


@pytest.mark.skipif(FOLDER is None, reason="set FLOCKCHAIN_VECTORS to a folder with ics23_smt")
def test_proofs_published_by_ics23_are_read_and_written_again_byte_for_byte() -> None:
    files = sorted((Path(FOLDER or ".") / "ics23_smt").glob("*.json"))
    assert files
    for file in files:
        case = {name: bytes.fromhex(text) for name, text in json.loads(file.read_bytes()).items()}
        named, proof = decode_commitment_proof(case["proof"])
        root, key, value = Hash(case["root"]), case["key"], case["value"] or None
        # These name an absent key by its hash. ICS23 does not look at that field; here it is the key.
        assert named == (key if value else sha256(key).digest()), file.name
        assert encode_commitment_proof(named, proof) == case["proof"], file.name
        ours = encode_commitment_proof(key, proof)
        assert verify_commitment_proof(root, key, value, ours), file.name
        assert verify_commitment_proof(root, key, value, case["proof"]) == (value is not None), file.name
        for data in (ours, case["proof"]):
            assert holds(SMT_SPEC, root, key, value, data), file.name
            assert not holds(SMT_SPEC, root, key, b"another", data), file.name
