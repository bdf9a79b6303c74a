"""What a member signs is a function of its keys and its journal; what an evaluator answers is checked first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.crypto import ed25519
from flockchain.crypto.bls import get_default_backend
from flockchain.crypto.merkle import verify_audit_path
from flockchain.crypto.signing import compute_score_commit_bytes, compute_score_commitment
from flockchain.duties import (
    BlobRef,
    DutyKeys,
    EvaluateDone,
    EvaluateOrder,
    compute_audit_rows,
    compute_evidence_root,
)
from flockchain.duties.ballots import Signer, build_vote, is_sound
from flockchain.duties.records import DUTY_RECORD, AggregateDuty, CommitDuty, DutyMemory
from flockchain.primitives.codec import I64, DecodeError
from flockchain.primitives.errors import InvariantBroken
from flockchain.primitives.learning import UpdateRecord, UpdateScore, UpdateStatus
from flockchain.primitives.limits import SCORE_ABS_MAX
from flockchain.primitives.numbers import ZERO_HASH, AccountId, Balance, Hash, MicroNats, Round, Score, TaskId
from tests.kit.keys import build_validator_keys
from tests.kit.learning import build_losses, build_spec, build_vote_of

SCORED, ABSTAIN, OUT, BAD = (
    UpdateStatus.SCORED, UpdateStatus.ABSTAIN, UpdateStatus.UNAVAILABLE, UpdateStatus.MALFORMED
)  # fmt: skip
SECRETS = build_validator_keys(0)
KEYS = DutyKeys(SECRETS.account, SECRETS.score_seed, SECRETS.certificate_secret)
SIGNER = Signer(Hash(b"\1" * 32), get_default_backend(), KEYS)


def build_order(*is_available: bool) -> EvaluateOrder:
    update = UpdateRecord(AccountId(bytes(32)), Hash(bytes(32)), 1, Hash(bytes(32)), Balance(1))
    suite = BlobRef(Hash(bytes(32)), 1)
    rows = (5, 3, 9)
    updates = (update,) * len(is_available)
    return EvaluateOrder(TaskId(0), Round(0), build_spec(), (), suite, rows, updates, is_available)


def build_duty(task: int = 0, round: int = 0) -> CommitDuty:
    losses = build_losses(4)
    return CommitDuty(TaskId(task), Round(round), build_vote_of((1, 2), losses), losses)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40), st.data())
def test_every_opened_row_verifies_against_the_evidence(losses: list[int], data: st.DataObject) -> None:
    positions = sorted(data.draw(st.sets(st.integers(0, len(losses) - 1), min_size=1, max_size=5)))
    root = compute_evidence_root(losses)
    rows = compute_audit_rows(losses, positions)
    assert [row.position for row in rows] == positions
    for row in rows:
        assert row.loss == losses[row.position]
        assert verify_audit_path(I64.encode(row.loss), row.position, len(losses), row.path, root)


def test_a_vote_says_what_is_known_of_each_update() -> None:
    order = build_order(True, True, False, True, False)
    vote = build_vote(order, (None, BAD, None, None, OUT), (7, 9, 11, None, None), (1, 2, 3))
    assert vote.entries == (
        UpdateScore(SCORED, Score(7)), UpdateScore(BAD, Score(0)), UpdateScore(OUT, Score(0)),
        UpdateScore(ABSTAIN, Score(0)), UpdateScore(OUT, Score(0)),
    )  # fmt: skip
    assert vote.evidence_root == compute_evidence_root((1, 2, 3))


def test_without_a_result_a_vote_abstains_and_has_no_evidence() -> None:
    vote = build_vote(build_order(True, False), (), (), ())
    assert [entry.status for entry in vote.entries] == [ABSTAIN, OUT]
    assert vote.evidence_root == ZERO_HASH
    assert build_vote(build_order(True), (BAD,), (), (1, 2, 3)).evidence_root == ZERO_HASH


GOOD = EvaluateDone(TaskId(0), Round(0), (None, None), (4, None), (1, 2, 3))


@pytest.mark.parametrize(
    "fields",
    [
        {"scores": (4,)}, {"scores": (4, 5, 6)}, {"findings": (None,)}, {"losses": (1, 2)}, {"losses": ()},
        {"losses": (1, 2, 3, 4)}, {"scores": (4.0, None)}, {"scores": (True, None)}, {"scores": ("4", None)},
        {"scores": (SCORE_ABS_MAX + 1, None)}, {"losses": (1, 2, SCORE_ABS_MAX + 1)}, {"losses": (1, 2, 3.5)},
        {"losses": (1, 2, None)}, {"scores": (None, None), "losses": (1,)},
    ],
    ids=str,
)  # fmt: skip
def test_garbage_of_an_evaluator_is_noticed(fields: dict[str, Any]) -> None:
    order = build_order(True, True)
    assert is_sound(order, GOOD)
    assert is_sound(order, replace(GOOD, scores=(None, None), losses=()))
    assert not is_sound(order, replace(GOOD, **fields))


def test_the_same_duty_gives_the_same_bytes_and_opens_its_commit() -> None:
    duty = build_duty()
    commit, reveal = SIGNER.build_commit(duty), SIGNER.build_reveal(duty, (0, 2))
    again = Signer(Hash(b"\1" * 32), get_default_backend(), KEYS)
    assert (again.build_commit(duty), again.build_reveal(duty, (0, 2))) == (commit, reveal)
    assert compute_score_commitment(reveal.vote, reveal.salt, reveal.voter) == commit.commitment
    message = compute_score_commit_bytes(Hash(b"\1" * 32), commit)
    assert ed25519.verify(ed25519.get_public_key(KEYS.score_seed), message, commit.signature)


def test_salts_differ_by_round_task_and_chain() -> None:
    other_chain = Signer(Hash(b"\2" * 32), get_default_backend(), KEYS)
    salts = {
        signer.build_reveal(build_duty(task, round_), ()).salt
        for signer in (SIGNER, other_chain)
        for task in (0, 1)
        for round_ in (0, 1)
    }
    assert len(salts) == 8


def test_keys_are_not_shown() -> None:
    assert KEYS.score_seed.hex() not in repr(KEYS)
    assert repr(KEYS.score_seed) not in repr(KEYS)


def test_memory_restores_what_was_journaled() -> None:
    memory = DutyMemory([])
    commit = build_duty()
    aggregate = AggregateDuty(TaskId(0), Round(0), Hash(b"\1" * 32), Hash(b"\2" * 32), 77)
    journal = [memory.add(commit), memory.add(aggregate), memory.add(build_duty(round=1))]
    restored = DutyMemory(journal)
    assert restored.commits == memory.commits
    assert restored.aggregates == {(0, 0): aggregate}
    restored.forget((TaskId(0), Round(0)))
    assert DutyMemory(restored.get_records()).get_keys() == {(0, 1)}


def test_a_second_commit_or_aggregate_of_a_round_is_never_recorded() -> None:
    memory = DutyMemory([])
    memory.add(build_duty())
    with pytest.raises(InvariantBroken):
        memory.add(replace(build_duty(), losses=(MicroNats(1),)))
    first = AggregateDuty(TaskId(0), Round(0), Hash(bytes(32)), Hash(bytes(32)), 1)
    memory.add(first)
    with pytest.raises(InvariantBroken):
        memory.add(replace(first, aggregate=Hash(b"\1" * 32)))
    with pytest.raises(InvariantBroken):
        DutyMemory([DUTY_RECORD.encode(first)] * 2)


def test_a_damaged_record_is_a_typed_error() -> None:
    with pytest.raises(DecodeError):
        DutyMemory([b"\7"])
