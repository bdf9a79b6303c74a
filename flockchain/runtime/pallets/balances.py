"""Who owns how much: free balances, the pots of other pallets, fees, and the total issuance.

Every unit is in exactly one place: free in an account, or in a named pot that one pallet answers for (stake, bonds,
reward pools). Issuance is their sum; only `mint` raises it and only `burn_from_pot` and fees lower it.

A transfer must leave the receiver with the existential deposit at least, and the sender with that or nothing, so that
an account in state costs something. Fees and payments by the protocol are exempt: they must never fail for dust.
Fees: base + per byte + per weight, and a tip. The tip and half of the fee go to the proposer, the rest is burned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flockchain.primitives.codec import HASH, U128, Text, struct
from flockchain.primitives.errors import Refused, invariant
from flockchain.primitives.numbers import AccountId, Balance
from flockchain.runtime.frame import (
    CallContext,
    CallSpec,
    Context,
    Pallet,
    State,
    StateReader,
    StorageMap,
    StorageValue,
)
from flockchain.runtime.genesis_config import BalanceConfig, GenesisConfig

__all__ = [
    "BalanceTooLow",
    "Balances",
    "Burned",
    "FeesShared",
    "Transfer",
    "TransferAll",
    "TransferLeavesDust",
    "Transferred",
]  # fmt: skip

POT_NAME_BYTES_MAX: Final = 32


# Events


@dataclass(frozen=True, slots=True)
class Transferred:
    """An account paid another."""

    source: AccountId
    target: AccountId
    amount: Balance


@dataclass(frozen=True, slots=True)
class FeesShared:
    """Where a block's fees and tips went."""

    proposer: AccountId
    paid: Balance
    burned: Balance


@dataclass(frozen=True, slots=True)
class Burned:
    """Units left a pot and the issuance."""

    pot: str
    amount: Balance


# Refusals


class BalanceTooLow(Refused):
    """An account has less than is asked of it."""

    def __init__(self, account: AccountId, free: int, wanted: int) -> None:
        super().__init__("the account has too little", account=account, free=free, wanted=wanted)


class TransferLeavesDust(Refused):
    """A transfer would leave an account with less than the existential deposit."""

    def __init__(self, account: AccountId, left: int, least: int) -> None:
        super().__init__("the transfer leaves an account with dust", account=account, left=left, least=least)


# Storage


@dataclass(frozen=True, slots=True)
class Transfer:
    """Arguments of `transfer`."""

    target: AccountId
    amount: Balance


@dataclass(frozen=True, slots=True)
class TransferAll:
    """Arguments of `transfer_all`."""

    target: AccountId


FREE: Final = StorageMap[AccountId, Balance]("balances", "free", HASH, U128)
POTS: Final = StorageMap[str, Balance]("balances", "pot", Text(POT_NAME_BYTES_MAX), U128)
ISSUANCE: Final = StorageValue[Balance]("balances", "issuance", U128, Balance(0))
NOTHING: Final = Balance(0)


class Balances(Pallet):
    """See the module. Other pallets get it as their bank: `collect`, `pay`, `move`, `burn_from_pot`, `mint_to_pot`."""

    name = "balances"
    index = 1
    events = {  # noqa: RUF012
        0: struct(Transferred, source=HASH, target=HASH, amount=U128),
        1: struct(FeesShared, proposer=HASH, paid=U128, burned=U128),
        2: struct(Burned, pot=Text(POT_NAME_BYTES_MAX), amount=U128),
    }

    def __init__(self, config: BalanceConfig) -> None:
        self._config = config
        self.calls = (
            CallSpec(0, "transfer", struct(Transfer, target=HASH, amount=U128), 40, self.transfer),
            CallSpec(1, "transfer_all", struct(TransferAll, target=HASH), 40, self.transfer_all),
        )

    # Hooks

    def build_genesis(self, state: State, config: GenesisConfig) -> None:
        for holder in config.accounts:
            FREE.set(state, holder.account, holder.balance)
        ISSUANCE.set(state, Balance(sum(holder.balance for holder in config.accounts)))

    # Calls

    def transfer(self, ctx: CallContext, arguments: Transfer) -> None:
        """Pay `amount` to `target`."""
        state, sender, target, amount = ctx.state, ctx.sender, arguments.target, arguments.amount
        free = self.get_free(state, sender)
        if free < amount:
            raise BalanceTooLow(sender, free, amount)
        if sender == target:
            ctx.deposit(Transferred(sender, target, amount))
            return
        left, gained = free - amount, self.get_free(state, target) + amount
        least = self._config.existential_deposit
        if 0 < left < least:
            raise TransferLeavesDust(sender, left, least)
        if gained < least:
            raise TransferLeavesDust(target, gained, least)
        _set_free(state, sender, left)
        _set_free(state, target, gained)
        ctx.deposit(Transferred(sender, target, amount))

    def transfer_all(self, ctx: CallContext, arguments: TransferAll) -> None:
        """Pay everything that is left after the fee to `target`; the account's record goes."""
        self.transfer(ctx, Transfer(arguments.target, self.get_free(ctx.state, ctx.sender)))

    # Steps of the executive

    def charge_fee(self, state: State, account: AccountId, amount: Balance) -> None:
        """Take a fee and tip out of an account. Until `share_fees` they are in no place: a block does both."""
        free = self.get_free(state, account)
        if free < amount:
            raise BalanceTooLow(account, free, amount)
        _set_free(state, account, free - amount)

    def share_fees(self, ctx: Context, fees: Balance, tips: Balance) -> None:
        """Half of the block's fees and all tips to the proposer; the rest leaves the issuance."""
        if not fees + tips:
            return
        state, proposer = ctx.state, ctx.block.proposer
        paid = Balance(fees // 2 + tips)
        burned = Balance(fees + tips - paid)
        _set_free(state, proposer, self.get_free(state, proposer) + paid)
        ISSUANCE.set(state, Balance(ISSUANCE.get(state) - burned))
        ctx.deposit(FeesShared(proposer, paid, burned))

    # The bank of other pallets

    def collect(self, state: State, account: AccountId, pot: str, amount: Balance) -> None:
        """Move from an account's free balance into a pot. Refuses when there is too little."""
        free = self.get_free(state, account)
        if free < amount:
            raise BalanceTooLow(account, free, amount)
        _set_free(state, account, free - amount)
        _set_pot(state, pot, self.get_pot(state, pot) + amount)

    def pay(self, state: State, pot: str, account: AccountId, amount: Balance) -> None:
        """Move from a pot to an account's free balance. The pot's pallet knows that it holds that much."""
        self._take(state, pot, amount)
        _set_free(state, account, self.get_free(state, account) + amount)

    def move(self, state: State, pot: str, target: str, amount: Balance) -> None:
        """Move from one pot to another."""
        self._take(state, pot, amount)
        _set_pot(state, target, self.get_pot(state, target) + amount)

    def burn_from_pot(self, ctx: Context, pot: str, amount: Balance) -> None:
        """Destroy units of a pot: the issuance falls."""
        if not amount:
            return
        self._take(ctx.state, pot, amount)
        ISSUANCE.set(ctx.state, Balance(ISSUANCE.get(ctx.state) - amount))
        ctx.deposit(Burned(pot, amount))

    def mint_to_pot(self, state: State, pot: str, amount: Balance) -> Balance:
        """Create up to `amount` units in a pot, within the chain's bound on issuance. Returns how many."""
        issuance = ISSUANCE.get(state)
        created = Balance(max(0, min(amount, self._config.issuance_max - issuance)))
        if created:
            ISSUANCE.set(state, Balance(issuance + created))
            _set_pot(state, pot, self.get_pot(state, pot) + created)
        return created

    # Views

    def get_free(self, state: StateReader, account: AccountId) -> Balance:
        """What the account can spend."""
        return FREE.get_or(state, account, NOTHING)

    def get_pot(self, state: StateReader, pot: str) -> Balance:
        """What a pallet holds for others."""
        return POTS.get_or(state, pot, NOTHING)

    def get_issuance(self, state: StateReader) -> Balance:
        """All units there are."""
        return ISSUANCE.get(state)

    def compute_fee(self, size_bytes: int, weight: int) -> Balance:
        """The fee of an extrinsic, without its tip."""
        config = self._config
        return Balance(config.fee_base + config.fee_per_byte * size_bytes + config.fee_per_weight * weight)

    def get_constants(self) -> Mapping[str, int | str]:
        config = self._config
        return {
            "existential_deposit": config.existential_deposit, "fee_base": config.fee_base,
            "fee_per_byte": config.fee_per_byte, "fee_per_weight": config.fee_per_weight,
            "block_reward": config.block_reward, "issuance_max": config.issuance_max,
        }  # fmt: skip

    def try_state(self, state: StateReader) -> None:
        free = [amount for _, amount in FREE.items(state)]
        pots = [amount for _, amount in POTS.items(state)]
        issuance = ISSUANCE.get(state)
        invariant(all(free) and all(pots), "an empty account or pot has no record")
        most = self._config.issuance_max
        invariant(issuance <= most, "issuance stays under the chain's bound", issuance=issuance, most=most)
        invariant(sum(free) + sum(pots) == issuance, "issuance is the sum of all places", free=sum(free),
                  pots=sum(pots), issuance=issuance)  # fmt: skip

    def _take(self, state: State, pot: str, amount: int) -> None:
        held = self.get_pot(state, pot)
        invariant(held >= amount, "a pot is asked for more than it holds", pot=pot, held=held, wanted=amount)
        _set_pot(state, pot, held - amount)


def _set_free(state: State, account: AccountId, amount: int) -> None:
    if amount:
        FREE.set(state, account, Balance(amount))
    else:
        FREE.delete(state, account)


def _set_pot(state: State, pot: str, amount: int) -> None:
    if amount:
        POTS.set(state, pot, Balance(amount))
    else:
        POTS.delete(state, pot)
