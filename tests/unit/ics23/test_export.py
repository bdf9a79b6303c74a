"""The claims that are exported for ICS23's own library say what is so, and both of our verifiers find it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from flockchain.storage.ics23 import verify_commitment_proof
from tests.kit.ics23_reference import BYTES, MESSAGE, SMT_SPEC, holds
from tools.ics23.claim import Claim
from tools.ics23.export import build_claims, main
from tools.ics23.forest import CANDIDATES, DEEP_BITS, grow_forest
from tools.ics23.spec import encode_proof_spec

SEED, KEYS = 7, 60
CLAIMS = list(build_claims(SEED, KEYS))
VERIFIER = os.environ.get("FLOCKCHAIN_ICS23_VERIFIER")
INT32, BOOL = 5, 8


def test_both_verifiers_judge_every_claim_as_it_is_written() -> None:
    wrong = [claim.kind for claim in CLAIMS if claim.holds != _holds(claim)]
    wrong += [f"strict, {claim.kind}" for claim in CLAIMS if claim.strict != _is_shown(claim)]
    assert wrong == []


def test_true_claims_are_true_of_the_entries_and_false_ones_cannot_be_shown() -> None:
    forest = grow_forest(SEED, KEYS)
    states = {tree.root: tree.entries for tree in (forest.chain, forest.earlier, *forest.small, forest.largest)}
    shown = [claim for claim in CLAIMS if claim.strict]
    assert len(shown) > 2 * KEYS
    assert all(states[claim.root].get(claim.key) == claim.value for claim in shown)
    assert len({claim.kind for claim in CLAIMS if not claim.holds}) > 90
    assert all(not claim.strict for claim in CLAIMS if not claim.holds)


def test_what_ics23_accepts_beyond_ours_is_named_so() -> None:
    looser = {claim.kind for claim in CLAIMS if claim.holds != claim.strict}
    assert looser == {claim.kind for claim in CLAIMS if claim.kind.startswith("accepted: ")}
    assert len(looser) == 6


def test_trees_have_the_shapes_that_they_are_named_for() -> None:
    forest = grow_forest(SEED, KEYS)
    assert len(forest.chain.entries) == KEYS + 11
    assert forest.chain.gone
    assert not set(forest.chain.gone) & set(forest.chain.entries)
    one, two, deep, across = forest.small
    assert [len(tree.entries) for tree in (one, two, deep, across)] == [1, 2, 2, 3]
    assert one.prove_value(b"only").siblings == ()
    assert all(len(deep.prove_value(key).siblings) > DEEP_BITS for key in deep.entries)
    assert set(deep.gaps) == {0, 1, 2}, f"no key for a gap among {CANDIDATES}"
    assert {0, len(forest.chain.order)} <= set(forest.chain.gaps)


def test_the_spec_is_the_one_by_which_the_reference_verifies() -> None:
    leaf, inner = SMT_SPEC.leaf, SMT_SPEC
    message = _parse_spec(encode_proof_spec())
    got = message.leaf_spec
    assert (got.hash, got.prehash_key, got.prehash_value, got.length, got.prefix) == leaf
    got = message.inner_spec
    assert list(got.child_order) == [0, 1]
    assert (got.hash, got.child_size, got.empty_child) == (inner.inner_hash, inner.child_size, inner.empty_child)
    assert (got.min_prefix_length, got.max_prefix_length) == (inner.least_prefix, inner.most_prefix)
    assert (message.max_depth, message.min_depth) == (inner.max_depth, 0)
    assert message.prehash_key_before_comparison == inner.compares_hashes
    assert message.SerializeToString(deterministic=True) == encode_proof_spec()


def test_the_file_holds_the_claims_and_a_seed_gives_the_same_file(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        assert main(["--out", str(tmp_path / folder), "--seed", str(SEED), "--keys", str(KEYS)]) == 0
    data = (tmp_path / "one" / "cases.json").read_bytes()
    assert data == (tmp_path / "two" / "cases.json").read_bytes()
    document = json.loads(data)
    assert [Claim.from_json(case) for case in document["cases"]] == CLAIMS
    assert bytes.fromhex(document["spec"]) == encode_proof_spec()


def test_an_export_fails_when_our_verifier_judges_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.ics23.export.verify_commitment_proof", lambda *claim: True)
    assert main(["--out", str(tmp_path), "--seed", str(SEED), "--keys", str(KEYS)]) == 1


@pytest.mark.skipif(
    VERIFIER is None,
    reason="set FLOCKCHAIN_ICS23_VERIFIER to the program built from tools/ics23/verify (Go and its modules)",
)
def test_ics23s_own_library_judges_every_claim_as_it_is_written(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path), "--seed", str(SEED), "--keys", str(KEYS)]) == 0
    file = tmp_path / "cases.json"
    accepted = sum(claim.holds for claim in CLAIMS)
    refused = len(CLAIMS) - accepted
    run = subprocess.run([str(VERIFIER), str(file)], capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stdout[:2000] + run.stderr
    assert "is the library's SmtSpec: true" in run.stdout
    assert run.stdout.endswith(f"accepted {accepted} of {accepted}, refused {refused} of {refused}\n")
    document = json.loads(file.read_bytes())
    document["cases"][0]["holds"] = False
    file.write_text(json.dumps(document), encoding="utf-8")
    assert subprocess.run([str(VERIFIER), str(file)], capture_output=True, check=False, timeout=60).returncode == 1


def _is_shown(claim: Claim) -> bool:
    return verify_commitment_proof(claim.root, claim.key, claim.value, claim.proof)


def _holds(claim: Claim) -> bool:
    try:
        return holds(SMT_SPEC, claim.root, claim.key, claim.value, claim.proof)
    except DecodeError:
        return False  # not a message


def _parse_spec(data: bytes) -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="ics23_spec.proto", package="spec", syntax="proto3")
    leaf = [("hash", 1, INT32), ("prehash_key", 2, INT32), ("prehash_value", 3, INT32), ("length", 4, INT32)]
    inner = [("child_order", 1, INT32), ("child_size", 2, INT32), ("min_prefix_length", 3, INT32)]
    inner += [("max_prefix_length", 4, INT32), ("empty_child", 5, BYTES), ("hash", 6, INT32)]
    spec = [("leaf_spec", 1, MESSAGE), ("inner_spec", 2, MESSAGE), ("max_depth", 3, INT32), ("min_depth", 4, INT32)]
    spec += [("prehash_key_before_comparison", 5, BOOL)]
    for name, fields in (("LeafOp", [*leaf, ("prefix", 5, BYTES)]), ("InnerSpec", inner), ("ProofSpec", spec)):
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            added = message.field.add(name=field, number=number, type=kind, label=3 if field == "child_order" else 1)
            if kind == MESSAGE:
                added.type_name = ".spec.LeafOp" if field == "leaf_spec" else ".spec.InnerSpec"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    parsed = message_factory.GetMessageClass(pool.FindMessageTypeByName("spec.ProofSpec"))()
    parsed.ParseFromString(data)
    return parsed
