"""The learning section's rules V1, V3 and V4: an item that breaks one makes its block invalid and changes nothing.

`get_refusal` asserts for every case that the block is refused, that the state is untouched, and that an honest leader
would have left the item out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flockchain.crypto import ed25519
from flockchain.crypto.signing import (
    compute_aggregate_bytes,
    compute_score_commit_bytes,
    compute_score_reveal_bytes,
)
from flockchain.duties import DutyKeys, compute_audit_rows
from flockchain.duties.ballots import Signer
from flockchain.primitives.evidence import EVIDENCE, ScoreEvidence
from flockchain.primitives.learning import (
    SCORE_COMMIT,
    AuditRow,
    Phase,
    ScoreCommit,
    ScoreReveal,
    ScoreVote,
    UpdateScore,
    UpdateStatus,
)
from flockchain.primitives.limits import BLOB_BYTES_MAX, SCORE_ABS_MAX
from flockchain.primitives.numbers import ZERO_HASH, AccountId, Hash, MicroNats, Round, Score, Stake, TaskId
from flockchain.runtime.score_rules import (
    AuditWrong,
    CertificateWrong,
    ItemOutOfPlace,
    ItemRepeated,
    ItemSignatureWrong,
    NotMember,
    RevealOpensNothing,
    VoteIllFormed,
)
from tests.kit.learning import LearningChain, build_losses, build_vote_of
from tests.kit.runtime_chain import load_minimal_genesis

GOOD = (1_500, 2_500, 3_500)
EVERYONE = range(4)


@pytest.fixture
def committing() -> LearningChain:
    world = LearningChain.start()
    world.submit_all()
    world.advance_to(Phase.COMMIT)
    return world


@pytest.fixture
def revealing(committing: LearningChain) -> LearningChain:
    committing.commit_all(GOOD)
    return committing


@pytest.fixture
def aggregating(revealing: LearningChain) -> LearningChain:
    revealing.reveal_all(GOOD)
    return revealing


def sign_commit(world: LearningChain, member: int, **fields: Any) -> ScoreCommit:
    """A commit with `fields` replaced, signed over what it then says."""
    vote = build_vote_of(GOOD, build_losses())
    duty = replace(world.build_duty(vote, build_losses()), **fields)
    return world.get_signer(world.round.committee[member]).build_commit(duty)


def sign_reveal(world: LearningChain, member: int, **fields: Any) -> ScoreReveal:
    """A reveal with `fields` replaced, signed over what it then says."""
    good = world.build_reveal(member, GOOD)
    return resign(world, member, replace(good, **fields))


def resign(world: LearningChain, member: int, reveal: ScoreReveal) -> ScoreReveal:

    seed = world.chain.secrets[world.round.committee[member].account].score_seed
    message = compute_score_reveal_bytes(world.chain.runtime.genesis_hash, reveal)
    return replace(reveal, signature=ed25519.sign(seed, message))


# V1: commits


def test_a_good_commit_is_taken(committing: LearningChain) -> None:
    item = committing.build_commit(0, GOOD)
    committing.advance(item)
    assert [(commit.voter, commit.commitment) for commit in committing.round.commits] == [(item.voter, item.commitment)]


def test_a_commit_before_or_after_its_phase_is_refused() -> None:
    world = LearningChain.start()
    world.submit_all()
    member = world.chain.secrets[next(iter(world.chain.secrets))]
    early = ScoreCommit(world.task, Round(0), member.account, Hash(bytes(32)), bytes(64))
    assert isinstance(world.get_refusal(early), ItemOutOfPlace)
    world.advance_to(Phase.COMMIT)
    late = world.build_commit(0, GOOD)
    world.commit_all(GOOD)
    assert isinstance(world.get_refusal(late), ItemOutOfPlace)


def test_a_commit_is_refused_while_the_draw_of_audit_rows_is_pending(committing: LearningChain) -> None:
    late = committing.build_commit(3, GOOD)
    committing.advance(*[committing.build_commit(member, GOOD) for member in EVERYONE])
    assert committing.round.closed == committing.chain.height
    assert isinstance(committing.get_refusal(late), ItemOutOfPlace)


@pytest.mark.parametrize("fields", [{"task": TaskId(4)}, {"round": Round(1)}, {"round": Round(2**32 - 1)}])
def test_a_commit_of_another_task_or_round_is_refused(committing: LearningChain, fields: dict[str, Any]) -> None:
    assert isinstance(committing.get_refusal(sign_commit(committing, 0, **fields)), ItemOutOfPlace)


def test_a_commit_of_a_round_that_is_over_is_refused(committing: LearningChain) -> None:
    late = committing.build_commit(0, GOOD)
    while committing.record.round == 0:
        committing.chain.advance()
    assert isinstance(committing.get_refusal(late), ItemOutOfPlace)


def test_an_account_outside_the_committee_is_refused(committing: LearningChain) -> None:
    item = committing.build_commit(0, GOOD)
    stranger = replace(item, voter=AccountId(bytes(32)))
    assert isinstance(committing.get_refusal(stranger), NotMember)


def test_a_validator_that_was_not_drawn_is_refused() -> None:
    world = LearningChain.start(committee_size=3)
    world.submit_all()
    world.advance_to(Phase.COMMIT)
    drawn = {member.account for member in world.round.committee}
    outsider = next(account for account in world.chain.secrets if account not in drawn)
    secrets = world.chain.secrets[outsider]
    item = replace(world.build_commit(0, GOOD), voter=outsider)

    message = compute_score_commit_bytes(world.chain.runtime.genesis_hash, item)
    signed = replace(item, signature=ed25519.sign(secrets.score_seed, message))
    assert isinstance(world.get_refusal(signed), NotMember)


def test_a_commit_signed_by_another_member_or_altered_is_refused(committing: LearningChain) -> None:
    first, second = committing.round.committee[:2]
    item = committing.build_commit(0, GOOD)
    for wrong in (
        replace(item, voter=second.account),
        replace(item, commitment=Hash(bytes(32))),
        replace(item, signature=bytes(64)),
        replace(committing.build_commit(1, GOOD), voter=first.account),
    ):
        assert isinstance(committing.get_refusal(wrong), ItemSignatureWrong)


def test_a_commit_for_another_chain_is_refused(committing: LearningChain) -> None:
    signer = committing.get_signer(committing.round.committee[0])
    secrets = committing.chain.secrets[committing.round.committee[0].account]

    keys = DutyKeys(secrets.account, secrets.score_seed, secrets.certificate_secret)
    other = Signer(Hash(b"\7" * 32), committing.chain.runtime.bls, keys)
    duty = committing.build_duty(build_vote_of(GOOD, build_losses()), build_losses())
    assert isinstance(committing.get_refusal(other.build_commit(duty)), ItemSignatureWrong)
    committing.advance(signer.build_commit(duty))


def test_a_second_commit_is_refused_in_a_later_block_and_in_the_same_one(committing: LearningChain) -> None:
    first, second = committing.build_commit(0, GOOD), committing.build_commit(0, (9, 9, 9))
    assert isinstance(committing.get_refusal(second, first), ItemRepeated)
    committing.advance(first)
    assert isinstance(committing.get_refusal(second), ItemRepeated)
    assert isinstance(committing.get_refusal(first), ItemRepeated)


def test_two_commits_of_one_member_are_evidence_and_cost_it_stake(committing: LearningChain) -> None:
    items = sorted((committing.build_commit(0, GOOD), committing.build_commit(0, (9, 9, 9))), key=SCORE_COMMIT.encode)
    committing.advance(items[0])
    committing.chain.advance(evidence=[EVIDENCE.encode(ScoreEvidence(*items))])
    reported = committing.chain.find_events("OffenceReported")
    assert [event.offender for event in reported] == [committing.round.committee[0].account]
    assert reported[0].slashed * 100 >= committing.round.committee[0].stake


def test_two_commits_of_different_rounds_or_members_are_no_evidence(committing: LearningChain) -> None:
    first, second = committing.build_commit(0, GOOD), committing.build_commit(1, GOOD)
    forged = replace(committing.build_commit(0, (9, 9, 9)), signature=bytes(64))
    for pair in ((first, second), (first, first), (first, forged), (first, sign_commit(committing, 0, round=Round(1)))):
        evidence = EVIDENCE.encode(ScoreEvidence(*sorted(pair, key=SCORE_COMMIT.encode)))
        assert committing.chain.build(evidence=[evidence]).evidence == ()


# V1, V3: reveals


def test_a_good_reveal_is_taken_with_its_vote(revealing: LearningChain) -> None:
    revealing.advance(revealing.build_reveal(2, GOOD))
    assert [reveal.vote for reveal in revealing.round.reveals] == [build_vote_of(GOOD, build_losses())]


def test_a_reveal_before_its_phase_is_refused(committing: LearningChain) -> None:
    committing.advance(committing.build_commit(0, GOOD))
    assert isinstance(committing.get_refusal(committing.build_reveal(0, GOOD)), ItemOutOfPlace)


def test_a_reveal_without_a_commit_is_refused() -> None:
    world = LearningChain.start()
    world.submit_all()
    world.commit_all(GOOD, members=(0, 1, 2))
    assert isinstance(world.get_refusal(world.build_reveal(3, GOOD)), ItemOutOfPlace)


def test_a_second_reveal_is_refused(revealing: LearningChain) -> None:
    item = revealing.build_reveal(0, GOOD)
    assert isinstance(revealing.get_refusal(item, item), ItemRepeated)
    revealing.advance(item)
    assert isinstance(revealing.get_refusal(item), ItemRepeated)


def test_a_reveal_with_a_wrong_signature_is_refused(revealing: LearningChain) -> None:
    item = revealing.build_reveal(0, GOOD)
    other = revealing.build_reveal(1, GOOD)
    for wrong in (
        replace(item, signature=bytes(64)),
        replace(item, signature=other.signature),
        replace(item, salt=other.salt),
        replace(item, voter=other.voter),
    ):
        assert isinstance(revealing.get_refusal(wrong), ItemSignatureWrong)


@pytest.mark.parametrize("entries", [(1_500, 2_500, 3_501), (1_500, 2_500, UpdateStatus.ABSTAIN), (0, 0, 0)])
def test_a_reveal_of_another_vote_does_not_open_the_commit(revealing: LearningChain, entries: Any) -> None:
    assert isinstance(revealing.get_refusal(revealing.build_reveal(0, entries)), RevealOpensNothing)


def test_a_reveal_with_another_salt_or_evidence_does_not_open_the_commit(revealing: LearningChain) -> None:
    good = revealing.build_reveal(0, GOOD)
    salted = sign_reveal(revealing, 0, salt=Hash(bytes(32)))
    moved = sign_reveal(revealing, 0, vote=ScoreVote(good.vote.entries, Hash(b"\5" * 32)))
    for wrong in (salted, moved):
        assert isinstance(revealing.get_refusal(wrong), RevealOpensNothing)


def test_another_members_vote_cannot_be_copied_by_its_commitment(committing: LearningChain) -> None:
    """A copied commitment cannot be opened, for the voter is hashed in."""

    original = committing.build_commit(0, GOOD)
    thief = committing.round.committee[1].account
    copied = replace(original, voter=thief)
    message = compute_score_commit_bytes(committing.chain.runtime.genesis_hash, copied)
    copied = replace(copied, signature=ed25519.sign(committing.chain.secrets[thief].score_seed, message))
    committing.advance(original, copied, *[committing.build_commit(member, GOOD) for member in (2, 3)])
    committing.advance_to(Phase.REVEAL)
    opened = committing.build_reveal(0, GOOD)
    committing.advance(opened)
    stolen = resign(committing, 1, replace(opened, voter=thief))
    assert isinstance(committing.get_refusal(stolen), RevealOpensNothing)


@pytest.mark.parametrize(
    "entries",
    [(), GOOD[:2], (*GOOD, 4), (SCORE_ABS_MAX + 1, 0, 0), (-SCORE_ABS_MAX - 1, 0, 0)],
    ids=["none", "too few", "too many", "too high", "too low"],
)
def test_a_vote_that_is_not_of_the_rounds_updates_or_out_of_range_is_refused(entries: Any) -> None:
    world = LearningChain.start()
    world.submit_all()
    world.commit_all(entries)
    assert isinstance(world.get_refusal(world.build_reveal(0, entries)), VoteIllFormed)


def test_a_score_without_status_or_without_evidence_is_refused() -> None:
    for vote in (
        ScoreVote((UpdateScore(UpdateStatus.ABSTAIN, Score(5)),) * 3, ZERO_HASH),
        ScoreVote(build_vote_of(GOOD, build_losses()).entries, ZERO_HASH),
    ):
        world = LearningChain.start()
        world.submit_all()
        world.advance_to(Phase.COMMIT)
        signers = [world.get_signer(member) for member in world.round.committee]
        world.advance(*[signer.build_commit(world.build_duty(vote, ())) for signer in signers])
        world.advance_to(Phase.REVEAL)
        item = signers[0].build_reveal(world.build_duty(vote, ()), ())
        assert isinstance(world.get_refusal(item), VoteIllFormed)


def test_the_audit_opens_exactly_the_drawn_rows(revealing: LearningChain) -> None:
    good = revealing.build_reveal(0, GOOD)
    other = next(at for at in range(20) if at not in revealing.round.audit_positions)

    elsewhere = compute_audit_rows(build_losses(), (other,))
    for rows in ((), good.audit[:2], good.audit[::-1], good.audit + elsewhere, elsewhere + good.audit[1:]):
        assert isinstance(revealing.get_refusal(sign_reveal(revealing, 0, audit=rows)), AuditWrong)


def test_an_audit_row_must_verify_against_the_evidence(revealing: LearningChain) -> None:
    good = revealing.build_reveal(0, GOOD)
    first = good.audit[0]
    for row in (
        replace(first, loss=MicroNats(first.loss + 1)),
        replace(first, path=first.path[:-1]),
        replace(first, path=(*first.path, Hash(bytes(32)))),
        replace(first, path=(Hash(bytes(32)), *first.path[1:])),
        AuditRow(first.position, MicroNats(SCORE_ABS_MAX + 1), first.path),
    ):
        wrong = sign_reveal(revealing, 0, audit=(row, *good.audit[1:]))
        assert isinstance(revealing.get_refusal(wrong), AuditWrong)


def test_a_vote_without_evidence_opens_nothing() -> None:
    nothing = (UpdateStatus.ABSTAIN, UpdateStatus.MALFORMED, UpdateStatus.UNAVAILABLE)
    world = LearningChain.start()
    world.submit_all()
    world.commit_all(nothing)
    good = world.build_reveal(0, nothing)
    assert good.audit == ()

    rows = compute_audit_rows(build_losses(), world.round.audit_positions)
    assert isinstance(world.get_refusal(resign(world, 0, replace(good, audit=rows))), AuditWrong)
    world.advance(good)


# V4: certificates


def test_a_certificate_of_more_than_two_thirds_advances_the_model(aggregating: LearningChain) -> None:
    item = aggregating.build_certificate((0, 2, 3))
    aggregating.advance(item)
    ended = aggregating.get_round(0)
    assert ended.phase is Phase.ADVANCED
    assert ended.certified is not None
    assert (ended.certified.aggregate, ended.certified.aggregate_bytes) == (item.aggregate, item.aggregate_bytes)


@pytest.mark.parametrize("signers", [(0, 1), (3,)])
def test_a_certificate_without_quorum_is_refused(aggregating: LearningChain, signers: tuple[int, ...]) -> None:
    assert isinstance(aggregating.get_refusal(aggregating.build_certificate(signers)), CertificateWrong)


def test_a_certificate_before_the_tally_or_twice_is_refused(revealing: LearningChain) -> None:
    early = revealing.build_certificate
    revealing.advance(*[revealing.build_reveal(member, GOOD) for member in range(3)])
    assert revealing.round.phase is Phase.REVEAL
    revealing.advance_to(Phase.AGGREGATE)
    item = early(EVERYONE)
    assert isinstance(revealing.get_refusal(item, item), ItemOutOfPlace)
    revealing.advance(item)
    assert isinstance(revealing.get_refusal(item), ItemOutOfPlace)


def test_a_certificate_in_another_phase_is_refused(revealing: LearningChain, aggregating: LearningChain) -> None:
    other = LearningChain.start()
    other.submit_all()
    other.commit_all(GOOD)
    assert isinstance(other.get_refusal(aggregating.build_certificate(EVERYONE)), ItemOutOfPlace)


@pytest.mark.parametrize(
    "fields",
    [{"results_root": Hash(b"\6" * 32)}, {"aggregate_bytes": 0}, {"aggregate_bytes": BLOB_BYTES_MAX + 1}],
    ids=lambda fields: next(iter(fields)),
)
def test_a_certificate_over_other_results_or_no_blob_is_refused(
    aggregating: LearningChain, fields: dict[str, Any]
) -> None:
    wrong = aggregating.build_certificate(EVERYONE, **fields)
    assert isinstance(aggregating.get_refusal(wrong), CertificateWrong)


def test_a_certificate_that_says_something_else_than_was_signed_is_refused(aggregating: LearningChain) -> None:
    good, other = aggregating.build_certificate(EVERYONE), aggregating.build_certificate((0, 1, 2))
    for wrong in (
        replace(good, results_root=Hash(b"\6" * 32)),
        replace(good, aggregate=Hash(b"\6" * 32)),
        replace(good, aggregate_bytes=good.aggregate_bytes + 1),
        replace(good, signature=other.signature),
        replace(good, signature=bytes(96)),
        replace(good, signature=b"\xc0" + bytes(95)),
        replace(other, signers=good.signers),
    ):
        assert isinstance(aggregating.get_refusal(wrong), CertificateWrong)


@pytest.mark.parametrize("signers", [b"", b"\x0f\x00", b"\x1f", b"\x0f\x01", b"\xff"])
def test_a_bitmap_that_is_not_canonical_or_names_strangers_is_refused(
    aggregating: LearningChain, signers: bytes
) -> None:
    wrong = replace(aggregating.build_certificate(EVERYONE), signers=signers)
    assert isinstance(aggregating.get_refusal(wrong), CertificateWrong)


def test_consensus_keys_do_not_certify_aggregates(aggregating: LearningChain) -> None:
    good, chain = aggregating.build_certificate(EVERYONE), aggregating.chain
    message = compute_aggregate_bytes(
        chain.runtime.genesis_hash, good.task, good.round, good.results_root, good.aggregate, good.aggregate_bytes
    )
    secrets = [chain.secrets[member.account].consensus_secret for member in aggregating.round.committee]
    signature = chain.runtime.bls.aggregate([chain.runtime.bls.sign(secret, message) for secret in secrets])
    assert isinstance(aggregating.get_refusal(replace(good, signature=signature)), CertificateWrong)


def test_stake_counts_and_not_heads() -> None:
    """One member has five eighths of the stake: three others are no quorum, it and one more are."""
    config = load_minimal_genesis()
    validators = tuple(
        replace(validator, stake=Stake(validator.stake * (5 if at == 0 else 1)))
        for at, validator in enumerate(config.validators)
    )
    world = LearningChain.start(config=replace(config, validators=validators))
    world.submit_all()
    world.judge(GOOD)
    stakes = [member.stake for member in world.round.committee]
    big = stakes.index(max(stakes))
    others = [index for index in EVERYONE if index != big]
    for too_few in (others, [big]):  # three eighths, five eighths
        assert isinstance(world.get_refusal(world.build_certificate(too_few)), CertificateWrong)
    world.advance(world.build_certificate((big, others[0])))
    assert world.get_round(0).phase is Phase.ADVANCED
