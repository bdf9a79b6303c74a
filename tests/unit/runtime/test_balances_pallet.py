"""Transfers, dust, fees: every unit is in one place, and what is refused changes nothing but the fee."""

from __future__ import annotations

import pytest

from flockchain.primitives.numbers import AccountId, Balance
from flockchain.runtime.pallets.balances import (
    BalanceTooLow,
    FeesShared,
    Transfer,
    TransferAll,
    Transferred,
)
from flockchain.storage.overlay import Overlay
from tests.kit.runtime_chain import FLOCK, RuntimeChain, get_account

STRANGER = AccountId(bytes(range(32)))
ALICE, BOB = "account-0", "account-1"


@pytest.fixture
def chain() -> RuntimeChain:
    return RuntimeChain.start()


def test_a_transfer_moves_exactly_its_amount_and_costs_its_fee(chain: RuntimeChain) -> None:
    before = chain.get_balance(ALICE), chain.get_balance(BOB)
    raw = chain.sign(ALICE, "balances.transfer", Transfer(get_account(BOB), Balance(3 * FLOCK)))
    outcome = chain.advance(raw)
    receipt = outcome.receipts[0]
    assert receipt.is_success
    assert receipt.fee == chain.executive.check_extrinsic(raw).fee
    assert chain.get_balance(ALICE) == before[0] - 3 * FLOCK - receipt.fee
    assert chain.get_balance(BOB) == before[1] + 3 * FLOCK
    assert chain.find_events("Transferred") == [Transferred(get_account(ALICE), get_account(BOB), Balance(3 * FLOCK))]


def test_a_fee_is_half_burned_and_a_tip_goes_to_the_proposer(chain: RuntimeChain) -> None:
    issuance = chain.runtime.views.get_issuance(chain.store)
    raw = chain.sign(ALICE, "balances.transfer", Transfer(get_account(BOB), Balance(FLOCK)), tip=1000)
    fee = chain.executive.check_extrinsic(raw).fee
    proposer = chain.draft().proposer
    chain.advance(raw)
    paid = fee // 2 + 1000
    assert chain.find_events("FeesShared") == [FeesShared(proposer, Balance(paid), Balance(fee - fee // 2))]
    reward = chain.runtime.config.balances.block_reward
    assert chain.runtime.views.get_issuance(chain.store) == issuance + reward - (fee - fee // 2)


@pytest.mark.parametrize(
    ("amount", "refusal"),
    [(10**30, "the account has too little"), (100, "the transfer leaves an account with dust")],
)
def test_a_refused_transfer_costs_the_fee_and_the_nonce_and_nothing_else(
    chain: RuntimeChain, amount: int, refusal: str
) -> None:
    before, nonce = chain.get_balance(ALICE), chain.get_nonce(ALICE)
    outcome = chain.advance(chain.sign(ALICE, "balances.transfer", Transfer(STRANGER, Balance(amount))))
    receipt = outcome.receipts[0]
    assert not receipt.is_success
    assert receipt.refusal.startswith(refusal)
    assert chain.find_events("ExtrinsicApplied")[0].refusal == refusal
    assert chain.get_balance(ALICE) == before - receipt.fee
    assert chain.get_nonce(ALICE) == nonce + 1
    assert chain.runtime.views.get_balance(chain.store, STRANGER) == 0
    assert chain.find_events("Transferred") == []


def test_a_transfer_may_not_leave_the_sender_with_dust(chain: RuntimeChain) -> None:
    raw = chain.sign(ALICE, "balances.transfer", Transfer(get_account(BOB), Balance(1)))
    fee = chain.executive.check_extrinsic(raw).fee
    amount = chain.get_balance(ALICE) - fee - 1
    assert "dust" in chain.call(ALICE, "balances.transfer", Transfer(get_account(BOB), Balance(amount)))


def test_transfer_all_leaves_no_record_and_the_nonce_stays(chain: RuntimeChain) -> None:
    before = chain.get_balance(BOB)
    total = chain.get_balance(ALICE)
    outcome = chain.advance(chain.sign(ALICE, "balances.transfer_all", TransferAll(get_account(BOB))))
    assert chain.get_balance(ALICE) == 0
    assert chain.get_balance(BOB) == before + total - outcome.receipts[0].fee
    assert chain.get_nonce(ALICE) == 1


def test_a_transfer_to_oneself_changes_only_the_fee(chain: RuntimeChain) -> None:
    before = chain.get_balance(ALICE)
    outcome = chain.advance(chain.sign(ALICE, "balances.transfer", Transfer(get_account(ALICE), Balance(FLOCK))))
    assert outcome.receipts[0].is_success
    assert chain.get_balance(ALICE) == before - outcome.receipts[0].fee


def test_collecting_more_than_there_is_refuses_and_changes_nothing(chain: RuntimeChain) -> None:
    overlay = Overlay(chain.store)
    with pytest.raises(BalanceTooLow):
        chain.runtime.balances.collect(overlay, get_account(ALICE), "pot", Balance(10**30))
    assert overlay.changes == {}


def test_minting_stops_at_the_bound_on_issuance(chain: RuntimeChain) -> None:
    overlay, balances = Overlay(chain.store), chain.runtime.balances
    bound = chain.runtime.config.balances.issuance_max
    room = bound - balances.get_issuance(overlay)
    assert balances.mint_to_pot(overlay, "pot", Balance(10**30)) == room
    assert balances.get_issuance(overlay) == bound
    assert balances.mint_to_pot(overlay, "pot", Balance(1)) == 0
