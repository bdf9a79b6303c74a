"""Bonding, delegating, unbonding, and which stake is in which epoch's set."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flockchain.crypto import bls
from flockchain.crypto.hashing import compute_validators_hash
from flockchain.primitives.numbers import BPS, Epoch, Stake
from flockchain.runtime.dev_keys import build_genesis_validator, derive_dev_keys
from flockchain.runtime.pallets.staking import (
    Bond,
    BondExtra,
    Delegate,
    EpochUnknown,
    SetFixed,
    Unbond,
    Undelegate,
    Withdraw,
)
from tests.kit.runtime_chain import FLOCK, RuntimeChain, get_account

ALICE, BOB, VALIDATOR = "account-0", "account-1", "validator-0"


@pytest.fixture
def chain() -> RuntimeChain:
    started = RuntimeChain.start()
    secrets = derive_dev_keys(ALICE)
    started.secrets[secrets.account] = secrets
    return started


def build_bond(name: str, amount: int = 2000 * FLOCK) -> Bond:
    member = build_genesis_validator(derive_dev_keys(name), bls.get_default_backend(), Stake(amount), 500)
    return Bond(
        member.stake, member.commission_bps, member.node_id, member.score_key, member.consensus_key,
        member.consensus_proof, member.certificate_key, member.certificate_proof,
    )  # fmt: skip


def has_member(chain: RuntimeChain, epoch: int, name: str) -> bool:
    members = chain.runtime.views.get_validator_set(chain.store, Epoch(epoch))
    return members.get_index_of(get_account(name)) is not None


def test_genesis_fixes_the_sets_of_the_first_two_epochs(chain: RuntimeChain) -> None:
    first = chain.runtime.views.get_validator_set(chain.store, Epoch(0))
    second = chain.runtime.views.get_validator_set(chain.store, Epoch(1))
    assert first.validators == second.validators
    assert [member.account for member in first.validators] == sorted(member.account for member in first.validators)
    with pytest.raises(EpochUnknown):
        chain.runtime.views.get_validator_set(chain.store, Epoch(2))


def test_who_bonds_in_an_epoch_is_in_the_set_after_the_next_and_can_propose(chain: RuntimeChain) -> None:
    assert chain.call(ALICE, "staking.bond", build_bond(ALICE)) == ""
    chain.advance_to_epoch(1)
    assert not has_member(chain, 1, ALICE)
    assert has_member(chain, 2, ALICE)
    chain.advance_to_epoch(2)
    index = chain.members.get_index_of(get_account(ALICE))
    assert index is not None
    chain.advance(proposer=index)
    assert chain.head.proposer == get_account(ALICE)


def test_a_set_is_fixed_at_the_boundary_and_headers_carry_both_hashes(chain: RuntimeChain) -> None:
    while chain.height < 4:
        chain.advance()
    fixed = chain.find_events("SetFixed")
    third = chain.runtime.views.get_validator_set(chain.store, Epoch(2))
    assert fixed == [SetFixed(Epoch(2), compute_validators_hash(third))]
    chain.advance()
    assert chain.head.epoch == 1
    assert chain.head.next_validators_hash == compute_validators_hash(third)


def test_a_bond_needs_proofs_of_both_bls_keys(chain: RuntimeChain) -> None:
    bond = build_bond(ALICE)
    free = chain.get_balance(ALICE)
    for broken in (
        replace(bond, consensus_proof=bond.certificate_proof),
        replace(bond, certificate_proof=bond.consensus_proof),
    ):
        assert "not by the key's owner" in chain.call(ALICE, "staking.bond", broken)
    assert chain.runtime.staking.get_validator(chain.store, get_account(ALICE)) is None
    assert chain.get_balance(ALICE) > free - FLOCK


@pytest.mark.parametrize("field", ["node_id", "score_key"])
def test_a_key_of_another_validator_is_refused(chain: RuntimeChain, field: str) -> None:
    taken = getattr(chain.runtime.config.validators[0], field)
    assert "serves a validator already" in chain.call(
        ALICE, "staking.bond", replace(build_bond(ALICE), **{field: taken})
    )


def test_one_key_in_two_roles_is_refused(chain: RuntimeChain) -> None:
    bond = build_bond(ALICE)
    for broken in (
        replace(bond, node_id=bond.score_key),
        replace(bond, score_key=get_account(ALICE)),
        replace(bond, certificate_key=bond.consensus_key, certificate_proof=bond.consensus_proof),
    ):
        assert "given two roles" in chain.call(ALICE, "staking.bond", broken)
    account_of_another = chain.runtime.config.validators[0].account
    assert "serves a validator" in chain.call(ALICE, "staking.bond", replace(bond, node_id=account_of_another))


def test_a_bond_under_the_minimum_or_over_the_balance_is_refused(chain: RuntimeChain) -> None:
    assert "minimum" in chain.call(ALICE, "staking.bond", build_bond(ALICE, 999 * FLOCK))
    assert "too little" in chain.call(ALICE, "staking.bond", build_bond(ALICE, 20_000 * FLOCK))
    assert "already" in chain.call(VALIDATOR, "staking.bond", build_bond(BOB))


def test_delegated_stake_counts_and_earns_less_the_commission(chain: RuntimeChain) -> None:
    validator = get_account(VALIDATOR)
    pool = chain.runtime.config.validators[0].stake
    assert chain.call(ALICE, "staking.delegate", Delegate(validator, Stake(5000 * FLOCK))) == ""
    staking = chain.runtime.staking
    index = chain.members.get_index_of(validator)
    before = staking.get_delegation(chain.store, validator, get_account(ALICE))
    chain.advance(proposer=index)
    gained = staking.get_delegation(chain.store, validator, get_account(ALICE)) - before
    reward, total = chain.runtime.config.balances.block_reward, pool + 5000 * FLOCK
    expected = reward * (BPS - 1000) // BPS * 5000 * FLOCK // total
    assert abs(gained - expected) <= expected // 1000 + 1
    chain.advance_to_epoch(2)
    assert chain.members.validators[index].stake > total - FLOCK


def test_unbonded_stake_waits_and_comes_back_in_full(chain: RuntimeChain) -> None:
    validator = get_account(VALIDATOR)
    chain.call(ALICE, "staking.delegate", Delegate(validator, Stake(100 * FLOCK)))
    free = chain.get_balance(ALICE)
    assert chain.call(ALICE, "staking.undelegate", Undelegate(validator, Stake(50 * FLOCK))) == ""
    release = chain.find_events("Unbonding")[0].release_epoch
    assert release == 1 + chain.runtime.config.staking.unbonding_epochs
    assert list(chain.runtime.staking.list_releases(chain.store, get_account(ALICE))) == [
        (validator, release, 50 * FLOCK)
    ]
    assert "released yet" in chain.call(ALICE, "staking.withdraw", Withdraw(validator))
    chain.advance_to_epoch(release - 1)
    assert "released yet" in chain.call(ALICE, "staking.withdraw", Withdraw(validator))
    chain.advance_to_epoch(release)
    assert chain.call(ALICE, "staking.withdraw", Withdraw(validator)) == ""
    assert free + 50 * FLOCK - FLOCK < chain.get_balance(ALICE) < free + 50 * FLOCK
    assert list(chain.runtime.staking.list_releases(chain.store, get_account(ALICE))) == []


def test_what_is_left_of_a_delegation_is_nothing_or_the_minimum(chain: RuntimeChain) -> None:
    validator = get_account(VALIDATOR)
    assert "minimum" in chain.call(ALICE, "staking.delegate", Delegate(validator, Stake(FLOCK)))
    chain.call(ALICE, "staking.delegate", Delegate(validator, Stake(20 * FLOCK)))
    assert "minimum" in chain.call(ALICE, "staking.undelegate", Undelegate(validator, Stake(15 * FLOCK)))
    assert "no such stake" in chain.call(BOB, "staking.undelegate", Undelegate(validator, Stake(FLOCK)))
    assert chain.call(ALICE, "staking.undelegate", Undelegate(validator, Stake(10**30))) == ""


def test_an_active_validator_keeps_its_minimum_and_a_chilled_one_may_empty(chain: RuntimeChain) -> None:
    stake = chain.runtime.config.validators[0].stake
    assert "minimum" in chain.call(VALIDATOR, "staking.unbond", Unbond(stake))
    assert chain.call(VALIDATOR, "staking.chill") == ""
    assert chain.call(VALIDATOR, "staking.unbond", Unbond(Stake(10**30))) == ""
    assert chain.runtime.staking.get_validator(chain.store, get_account(VALIDATOR)) is None


def test_a_chilled_validator_takes_no_stake_until_it_resumes(chain: RuntimeChain) -> None:
    delegate = Delegate(get_account(VALIDATOR), Stake(20 * FLOCK))
    chain.call(VALIDATOR, "staking.chill")
    assert "takes no stake" in chain.call(ALICE, "staking.delegate", delegate)
    chain.advance_to_epoch(1)
    assert not has_member(chain, 2, VALIDATOR)
    assert chain.call(VALIDATOR, "staking.resume") == ""
    assert chain.call(ALICE, "staking.delegate", delegate) == ""


def test_who_leaves_serves_the_fixed_sets_and_gets_its_stake_and_keys_back(chain: RuntimeChain) -> None:
    chain.call(ALICE, "staking.bond", build_bond(ALICE))
    assert chain.call(ALICE, "staking.leave") == ""
    release = chain.find_events("Unbonding")[0].release_epoch
    free = chain.get_balance(ALICE)
    chain.advance_to_epoch(release)
    assert chain.call(ALICE, "staking.withdraw", Withdraw(get_account(ALICE))) == ""
    assert chain.get_balance(ALICE) > free + 1999 * FLOCK
    assert chain.call(ALICE, "staking.bond", build_bond(ALICE)) == ""


def test_a_leaver_with_delegators_keeps_its_keys_until_the_last_one_goes(chain: RuntimeChain) -> None:
    validator = get_account(VALIDATOR)
    chain.call(ALICE, "staking.delegate", Delegate(validator, Stake(20 * FLOCK)))
    chain.call(VALIDATOR, "staking.leave")
    assert chain.runtime.staking.get_validator(chain.store, validator) is not None
    assert chain.call(ALICE, "staking.undelegate", Undelegate(validator, Stake(10**30))) == ""
    assert chain.runtime.staking.get_validator(chain.store, validator) is None


def test_with_no_candidate_left_the_last_set_goes_on(chain: RuntimeChain) -> None:
    for number in range(4):
        assert chain.call(f"validator-{number}", "staking.chill") == ""
    before = chain.runtime.views.get_validator_set(chain.store, Epoch(1))
    chain.advance_to_epoch(2)
    assert chain.members.validators == before.validators


def test_only_the_largest_stakes_are_elected() -> None:
    config = RuntimeChain.start().runtime.config
    small = replace(config, staking=replace(config.staking, max_validators=4))
    chain = RuntimeChain.start(small)
    assert chain.call(ALICE, "staking.bond", build_bond(ALICE)) == ""
    chain.call("validator-3", "staking.unbond", Unbond(Stake(99_000 * FLOCK)))
    chain.advance_to_epoch(1)
    assert has_member(chain, 2, ALICE)
    assert not has_member(chain, 2, "validator-3")


def test_bonding_extra_is_for_validators(chain: RuntimeChain) -> None:
    assert "not a validator" in chain.call(ALICE, "staking.bond_extra", BondExtra(Stake(FLOCK)))
    assert chain.call(VALIDATOR, "staking.bond_extra", BondExtra(Stake(FLOCK))) == ""


def test_rewards_stop_at_the_bound_on_issuance() -> None:
    config = RuntimeChain.start().runtime.config
    issued = sum(holder.balance for holder in config.accounts) + sum(member.stake for member in config.validators)
    reward = config.balances.block_reward
    chain = RuntimeChain.start(replace(config, balances=replace(config.balances, issuance_max=issued + reward + 1)))
    for expected in (issued + reward, issued + reward + 1, issued + reward + 1):
        chain.advance()
        assert chain.runtime.views.get_issuance(chain.store) == expected


def test_sets_are_kept_as_long_as_evidence_lives(chain: RuntimeChain) -> None:
    age = chain.runtime.config.staking.evidence_age_epochs
    chain.advance_to_epoch(age + 2)
    oldest = Epoch(chain.epoch - age)
    assert chain.runtime.views.get_validator_set(chain.store, oldest).epoch == oldest
    with pytest.raises(EpochUnknown):
        chain.runtime.views.get_validator_set(chain.store, Epoch(oldest - 1))
