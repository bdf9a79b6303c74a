"""A round in the report says what the finalized record says, with names for accounts."""

from __future__ import annotations

from dataclasses import replace

from flockchain.devnet.rounds_report import count_verdicts, describe_round_record
from flockchain.devnet.watch import describe_round
from flockchain.primitives.learning import (
    Phase,
    ReasonCode,
    ScoreVote,
    UpdateRecord,
    UpdateScore,
    UpdateStatus,
    Verdict,
)  # fmt: skip
from flockchain.primitives.numbers import (
    ZERO_HASH,
    AccountId,
    Balance,
    Hash,
    Height,
    MicroNats,
    Round,
    Score,
    Stake,
    TaskId,
)  # fmt: skip
from flockchain.primitives.rounds import CommitteeMember, LineageEntry, RevealRecord, RoundRecord, VoidReason

GOOD, BAD, JUDGE = (AccountId(bytes([number]) * 32) for number in (1, 2, 3))
NAMES = {GOOD: "trainer-0", BAD: "trainer-1", JUDGE: "validator-0"}
AGGREGATE = Hash(b"\xaa" * 32)
SCORES = (UpdateScore(UpdateStatus.SCORED, Score(700)), UpdateScore(UpdateStatus.SCORED, Score(-900)))
RECORD = RoundRecord(
    task=TaskId(1), round=Round(2), phase=Phase.ADVANCED, void_reason=VoidReason.NONE, opened=Height(10),
    phase_opened=Height(20), deadline=Height(90), closed=Height(15), ended=Height(21),
    updates=tuple(UpdateRecord(who, Hash(bytes(32)), 9, ZERO_HASH, Balance(5)) for who in (GOOD, BAD)), seed=ZERO_HASH,
    committee=(CommitteeMember(JUDGE, Stake(300), bytes(32), bytes(48)),), audit_positions=(), commits=(),
    reveals=(RevealRecord(JUDGE, ScoreVote(SCORES, ZERO_HASH)),),
    verdicts=(
        Verdict(GOOD, ZERO_HASH, Score(700), MicroNats(700), ReasonCode.ACCEPTED),
        Verdict(BAD, ZERO_HASH, Score(-900), MicroNats(-900), ReasonCode.LOW_REPUTATION),
    ),
    results_root=ZERO_HASH,
    certified=LineageEntry(Round(2), Height(21), ZERO_HASH, AGGREGATE, 100, 1, Stake(300), Stake(400)),
)  # fmt: skip


def test_an_advanced_round_names_its_verdicts_scores_and_certificate() -> None:
    entry = describe_round_record(RECORD, NAMES)
    assert (entry["task"], entry["round"], entry["updates"], entry["advanced"]) == (1, 2, 2, True)
    assert [(item["trainer"], item["reason"], item["reason_code"]) for item in entry["verdicts"]] == [
        ("trainer-0", "accepted", 0),
        ("trainer-1", "low_reputation", 1),
    ]
    assert entry["scores"] == [{"voter": "validator-0", "statuses": ["scored", "scored"], "scores": [700, -900]}]
    assert entry["aggregate_root"] == AGGREGATE.hex()
    assert entry["certificate_stake_fraction"] == 0.75


def test_a_void_round_says_why_and_has_no_certificate() -> None:
    void = replace(RECORD, phase=Phase.VOID, void_reason=VoidReason.NO_CERTIFICATE, certified=None)
    entry = describe_round_record(void, {})
    assert (entry["advanced"], entry["void_reason"]) == (False, "no_certificate")
    assert entry["aggregate_root"] is entry["certificate_stake_fraction"] is None
    assert entry["trainers"] == [GOOD.hex(), BAD.hex()]


def test_verdicts_are_counted_for_each_trainer() -> None:
    assert count_verdicts((RECORD, RECORD), GOOD) == (2, 0)
    assert count_verdicts((RECORD, RECORD), BAD) == (0, 2)
    assert count_verdicts((RECORD,), JUDGE) == (0, 0)


def test_the_view_counts_what_the_record_holds() -> None:
    seen = describe_round(RECORD, updates_max=8)
    assert (seen.number, seen.phase, seen.updates, seen.updates_max) == (2, "advanced", 2, 8)
    assert (seen.committee, seen.reveals, seen.accepted, seen.rejected) == (1, 1, 1, 1)
