"""Evidence of double votes: verified, counted once, paid for by all stake that answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flockchain.crypto.voting import sign_vote
from flockchain.primitives.evidence import EVIDENCE, VoteEvidence
from flockchain.primitives.numbers import BPS, ZERO_HASH, AccountId, Epoch, Hash, Stake, View
from flockchain.primitives.vote import VOTE, Vote, VoteKind
from flockchain.runtime.executive import InvalidBlock
from flockchain.runtime.pallets.offences import OffenceKind
from flockchain.runtime.pallets.staking import Delegate, Unbond, Undelegate
from flockchain.storage.overlay import Overlay
from tests.kit.runtime_chain import FLOCK, RuntimeChain, get_account, seal

ALICE = "account-0"
ONE, TWO = Hash(b"\x01" * 32), Hash(b"\x02" * 32)
OFFENDER = 1  # index in the set of every epoch here
KINDS = [
    (VoteKind.NOTARIZE, ONE, VoteKind.NOTARIZE, TWO, OffenceKind.DOUBLE_NOTARIZE),
    (VoteKind.FINALIZE, ONE, VoteKind.FINALIZE, TWO, OffenceKind.DOUBLE_FINALIZE),
    (VoteKind.NULLIFY, ZERO_HASH, VoteKind.FINALIZE, TWO, OffenceKind.NULLIFY_AND_FINALIZE),
]


@pytest.fixture
def chain() -> RuntimeChain:
    started = RuntimeChain.start()
    started.advance()
    return started


def vote(chain: RuntimeChain, kind: VoteKind, block_hash: Hash, epoch: int = 0, view: int = 1) -> Vote:
    member = chain.runtime.views.get_validator_set(chain.store, Epoch(epoch)).validators[OFFENDER]
    secret = chain.secrets[member.account].consensus_secret
    signature = sign_vote(
        chain.runtime.bls, chain.runtime.genesis_hash, secret, kind, Epoch(epoch), View(view), block_hash
    )
    return Vote(kind, Epoch(epoch), View(view), block_hash, OFFENDER, signature)


def encode_pair(first: Vote, second: Vote) -> bytes:
    ordered = sorted((first, second), key=VOTE.encode)
    return EVIDENCE.encode(VoteEvidence(*ordered))


def double(chain: RuntimeChain, epoch: int = 0, view: int = 1) -> bytes:
    kind = VoteKind.NOTARIZE
    return encode_pair(vote(chain, kind, ONE, epoch, view), vote(chain, kind, TWO, epoch, view))


def offender(chain: RuntimeChain) -> AccountId:
    return chain.members.validators[OFFENDER].account


@pytest.mark.parametrize(("first", "one", "second", "two", "kind"), KINDS)
def test_a_double_vote_is_slashed_and_its_signer_chilled(
    chain: RuntimeChain, first: VoteKind, one: Hash, second: VoteKind, two: Hash, kind: OffenceKind
) -> None:
    culprit, staking = offender(chain), chain.runtime.staking
    stake = staking.get_delegation(chain.store, culprit, culprit)
    chain.advance(evidence=[encode_pair(vote(chain, first, one), vote(chain, second, two))], proposer=0)
    report = chain.find_events("OffenceReported")[0]
    assert (report.offender, report.kind) == (culprit, kind)
    assert report.slashed == stake * chain.runtime.config.offences.double_vote_bps // BPS
    assert staking.get_delegation(chain.store, culprit, culprit) == stake - report.slashed
    record = staking.get_validator(chain.store, culprit)
    assert record is not None
    assert not record.is_active
    assert chain.runtime.offences.is_reported(chain.store, Epoch(0), 1, kind, culprit)


def test_most_of_a_slash_is_burned_and_the_proposer_gets_a_minor_part(chain: RuntimeChain) -> None:
    proposer = chain.members.validators[0].account
    free = chain.runtime.views.get_balance(chain.store, proposer)
    chain.advance(evidence=[double(chain)], proposer=0)
    slashed, burned = chain.find_events("Slashed")[0], chain.find_events("Burned")[0]
    assert 0 < slashed.rewarded < slashed.amount // 2
    assert burned.amount == slashed.amount - slashed.rewarded
    assert chain.runtime.views.get_balance(chain.store, proposer) == free + slashed.rewarded


def test_an_offender_is_not_rewarded_for_its_own_evidence(chain: RuntimeChain) -> None:
    chain.advance(evidence=[double(chain)], proposer=OFFENDER)
    assert chain.find_events("Slashed")[0].rewarded == 0


def test_delegators_and_unbonding_stake_answer_pro_rata(chain: RuntimeChain) -> None:
    culprit, staking = offender(chain), chain.runtime.staking
    bps = chain.runtime.config.offences.double_vote_bps
    chain.call(ALICE, "staking.delegate", Delegate(culprit, Stake(100 * FLOCK)))
    chain.call(ALICE, "staking.undelegate", Undelegate(culprit, Stake(40 * FLOCK)))
    before = staking.get_delegation(chain.store, culprit, get_account(ALICE))
    chain.advance(evidence=[double(chain)], proposer=0)
    after = staking.get_delegation(chain.store, culprit, get_account(ALICE))
    assert abs(after - before * (BPS - bps) // BPS) <= 1
    waiting = [amount for _, _, amount in staking.list_releases(chain.store, get_account(ALICE))]
    assert waiting == [40 * FLOCK * (BPS - bps) // BPS]


def test_stake_that_left_before_the_offence_does_not_answer(chain: RuntimeChain) -> None:
    culprit, staking = offender(chain), chain.runtime.staking
    chain.call(ALICE, "staking.delegate", Delegate(culprit, Stake(100 * FLOCK)))
    chain.call(ALICE, "staking.undelegate", Undelegate(culprit, Stake(40 * FLOCK)))
    chain.advance_to_epoch(2)
    chain.advance(evidence=[double(chain, epoch=2)], proposer=0)
    assert [amount for _, _, amount in staking.list_releases(chain.store, get_account(ALICE))] == [40 * FLOCK]


def test_stake_is_answerable_up_to_the_last_moment_of_evidence(chain: RuntimeChain) -> None:
    """What is unbonded in epoch 0 counts in epoch 1; evidence of epoch 1 lives until age + 1; release is later."""
    culprit, rules = offender(chain), chain.runtime.config.staking
    name = next(name for name in ("validator-0", "validator-1", "validator-2", "validator-3")
                if get_account(name) == culprit)  # fmt: skip
    chain.call(name, "staking.unbond", Unbond(Stake(1000 * FLOCK)))
    release = chain.find_events("Unbonding")[0].release_epoch
    chain.advance_to_epoch(1 + rules.evidence_age_epochs)
    assert chain.epoch < release
    chain.advance(evidence=[double(chain, epoch=1)], proposer=0)
    waiting = [amount for _, _, amount in chain.runtime.staking.list_releases(chain.store, culprit)]
    assert waiting[0] < 1000 * FLOCK


def test_an_offence_counts_once(chain: RuntimeChain) -> None:
    evidence = double(chain)
    assert chain.build(evidence=[evidence, evidence]).evidence == (evidence,)
    chain.advance(evidence=[evidence])
    assert chain.build(evidence=[evidence]).evidence == ()
    assert chain.build(evidence=[double(chain, view=2)]).evidence != ()


def test_an_offender_may_resume_only_after_the_unbonding_time(chain: RuntimeChain) -> None:
    culprit = offender(chain)
    name = next(f"validator-{number}" for number in range(4) if get_account(f"validator-{number}") == culprit)
    chain.advance(evidence=[double(chain)], proposer=0)
    assert "may not resume" in chain.call(name, "staking.resume")
    chain.advance_to_epoch(chain.runtime.config.staking.unbonding_epochs)
    assert chain.call(name, "staking.resume") == ""


def test_old_evidence_is_refused(chain: RuntimeChain) -> None:
    evidence = double(chain)
    chain.advance_to_epoch(chain.runtime.config.staking.evidence_age_epochs + 1)
    assert chain.build(evidence=[evidence]).evidence == ()


def build_invalid(chain: RuntimeChain) -> dict[str, bytes]:
    one, two = vote(chain, VoteKind.NOTARIZE, ONE), vote(chain, VoteKind.NOTARIZE, TWO)
    finalize = vote(chain, VoteKind.FINALIZE, ONE)
    swapped = sorted((one, two), key=VOTE.encode, reverse=True)
    return {
        "an honest pair": encode_pair(one, finalize),
        "the same vote twice": EVIDENCE.encode(VoteEvidence(one, one)),
        "the wrong order": EVIDENCE.encode(VoteEvidence(*swapped)),
        "two views": encode_pair(one, vote(chain, VoteKind.NOTARIZE, TWO, view=2)),
        "another signer": encode_pair(replace(one, signer=0), replace(two, signer=0)),
        "no such signer": encode_pair(replace(one, signer=9), replace(two, signer=9)),
        "a forged signature": encode_pair(one, replace(two, signature=one.signature)),
        "an epoch to come": encode_pair(replace(one, epoch=Epoch(1)), replace(two, epoch=Epoch(1))),
        "not an encoding": b"\x00\x01",
    }


def test_a_leader_leaves_out_evidence_that_proves_nothing(chain: RuntimeChain) -> None:
    assert chain.build(evidence=build_invalid(chain).values()).evidence == ()


def test_a_block_with_evidence_that_proves_nothing_is_invalid(chain: RuntimeChain) -> None:
    for name, raw in build_invalid(chain).items():
        overlay = Overlay(chain.store)
        with pytest.raises(InvalidBlock):
            chain.executive.apply_block(overlay, seal(chain.build(), evidence=(raw,)), chain.head)
        assert overlay.changes == {}, name
