"""What is hashed and what is signed, to the byte: golden values that change only on purpose."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from flockchain.crypto import hashing, signing
from flockchain.crypto.merkle import compute_root
from flockchain.crypto.signing import Domain
from flockchain.primitives.block import Header
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.extrinsic import Call, ExtrinsicPayload
from flockchain.primitives.learning import (
    LEARNING_ITEM,
    AuditRow,
    ScoreCommit,
    ScoreReveal,
    ScoreVote,
    UpdateScore,
    UpdateStatus,
)
from flockchain.primitives.numbers import (
    AccountId,
    Epoch,
    Hash,
    Height,
    MicroNats,
    NodeId,
    Nonce,
    Round,
    Score,
    Stake,
    TaskId,
    TimestampMs,
    View,
)
from flockchain.primitives.validator_set import Validator, ValidatorSet
from flockchain.primitives.vote import VoteKind

GOLDEN = Path(__file__).parents[2] / "vectors" / "hashes_and_signing.json"


def fill(byte: int, size_bytes: int = 32) -> Hash:
    return Hash(bytes([byte]) * size_bytes)


GENESIS = fill(0xAA)
HEADER = Header(
    parent=fill(1), height=Height(2), epoch=Epoch(3), view=View(4), proposer=AccountId(fill(5)),
    timestamp_ms=TimestampMs(6), state_root=fill(7), inherents_root=fill(8), learning_root=fill(9),
    extrinsics_root=fill(10), events_root=fill(11), validators_hash=fill(12), next_validators_hash=fill(13),
    spec_version=14,
)  # fmt: skip
VALIDATORS = ValidatorSet(
    Epoch(3),
    (Validator(AccountId(fill(1)), NodeId(fill(2)), fill(3), fill(4, 48), fill(5, 48), Stake(10**20)),),
)
VOTE = ScoreVote((UpdateScore(UpdateStatus.SCORED, Score(-5)), UpdateScore(UpdateStatus.ABSTAIN, Score(0))), fill(1))
COMMIT = ScoreCommit(TaskId(1), Round(2), AccountId(fill(3)), fill(4), fill(5, 64))
REVEAL = ScoreReveal(
    TaskId(1), Round(2), AccountId(fill(3)), VOTE, fill(6), (AuditRow(7, MicroNats(-8), (fill(9),)),), fill(5, 64)
)
PAYLOAD = ExtrinsicPayload(AccountId(fill(1)), Nonce(2), 3, Height(4), 5, 6, Call(7, 8, b"arguments"))
VOTE_SUBJECT = (Epoch(3), View(4), fill(5))


def compute_all() -> dict[str, str]:
    """Every golden value by name."""
    values = {
        "hash_tagged": hashing.hash_tagged("tag", b"data"),
        "block_hash": hashing.compute_block_hash(HEADER),
        "validators_hash": hashing.compute_validators_hash(VALIDATORS),
        "extrinsic_hash": hashing.compute_extrinsic_hash(b"bytes"),
        "learning_root": hashing.compute_learning_root((COMMIT, REVEAL)),
        "extrinsics_root": hashing.compute_extrinsics_root((b"one", b"two", b"three")),
        "inherents_root": hashing.compute_inherents_root(fill(1, 96), (b"evidence",)),
        "events_root": hashing.compute_events_root((b"event",)),
        "score_commitment": signing.compute_score_commitment(VOTE, fill(6), AccountId(fill(3))),
        "extrinsic_bytes": signing.compute_extrinsic_bytes(GENESIS, PAYLOAD),
        "reveal_bytes": signing.compute_reveal_bytes(GENESIS, Epoch(3), View(4)),
        "score_commit_bytes": signing.compute_score_commit_bytes(GENESIS, COMMIT),
        "score_reveal_bytes": signing.compute_score_reveal_bytes(GENESIS, REVEAL),
        "aggregate_bytes": signing.compute_aggregate_bytes(GENESIS, TaskId(1), Round(2), fill(3), fill(4), 5),
        "handshake_bytes": signing.compute_handshake_bytes(GENESIS, b"payload"),
    }
    for kind in VoteKind:
        values[f"{kind.name.lower()}_bytes"] = signing.compute_vote_bytes(GENESIS, kind, *VOTE_SUBJECT)
    for domain in Domain:
        values[f"domain_{domain.value}"] = signing.compute_signing_bytes(domain, GENESIS, 1, 2, b"payload")
    return {name: value.hex() for name, value in values.items()}


def test_every_hash_and_every_signed_message_is_the_golden_one() -> None:
    assert compute_all() == json.loads(GOLDEN.read_text(encoding="ascii"))


def test_the_signed_bytes_are_prefix_genesis_epoch_round_payload() -> None:
    found = signing.compute_vote_bytes(GENESIS, VoteKind.NOTARIZE, *VOTE_SUBJECT)
    assert found == b"FLOCKCHAIN/notarize/v1" + GENESIS + (3).to_bytes(8, "big") + (4).to_bytes(8, "big") + fill(5)


def test_no_two_domains_and_no_two_chains_share_signed_bytes() -> None:
    messages = [
        signing.compute_signing_bytes(domain, genesis, 1, 2, b"payload")
        for domain in Domain
        for genesis in (GENESIS, fill(0xBB))
    ]
    assert len(set(messages)) == len(messages)
    assert not any(a != b and b.startswith(a) for a in messages for b in messages)


def test_signatures_do_not_sign_themselves() -> None:
    bare_commit, bare_reveal = replace(COMMIT, signature=b""), replace(REVEAL, signature=b"")
    assert signing.compute_score_commit_bytes(GENESIS, bare_commit) == signing.compute_score_commit_bytes(
        GENESIS, COMMIT
    )
    assert signing.compute_score_reveal_bytes(GENESIS, bare_reveal) == signing.compute_score_reveal_bytes(
        GENESIS, REVEAL
    )


def test_a_reveals_audit_rows_are_signed() -> None:
    stripped = replace(REVEAL, audit=())
    assert signing.compute_score_reveal_bytes(GENESIS, stripped) != signing.compute_score_reveal_bytes(GENESIS, REVEAL)


def test_a_commitment_binds_vote_salt_and_voter() -> None:
    voter = AccountId(fill(3))
    other_vote = replace(VOTE, evidence_root=fill(2))
    commitments = {
        signing.compute_score_commitment(VOTE, fill(6), voter),
        signing.compute_score_commitment(other_vote, fill(6), voter),
        signing.compute_score_commitment(VOTE, fill(7), voter),
        signing.compute_score_commitment(VOTE, fill(6), AccountId(fill(4))),
    }
    assert len(commitments) == 4
    with pytest.raises(InvalidInput):
        signing.compute_score_commitment(VOTE, fill(6, 31), voter)


def test_roots_are_rfc_6962_roots_over_canonical_bytes() -> None:
    items = (COMMIT, REVEAL)
    assert hashing.compute_learning_root(items) == compute_root([LEARNING_ITEM.encode(item) for item in items])
    assert hashing.compute_inherents_root(b"reveal", [b"e1", b"e2"]) == compute_root([b"reveal", b"e1", b"e2"])
    assert hashing.compute_extrinsics_root([]) == hashing.compute_events_root([]) == sha256(b"").digest()


@pytest.mark.parametrize("field", list(Header.__slots__))
def test_a_block_hash_commits_to_every_field(field: str) -> None:
    value = getattr(HEADER, field)
    changed = replace(HEADER, **{field: value + 1 if isinstance(value, int) else fill(0xEE)})
    assert hashing.compute_block_hash(changed) != hashing.compute_block_hash(HEADER)
