"""Who holds which part of whose stake, at work or on its way out: the storage behind the staking pallet.

Knows pools, shares, release epochs and the pot that backs them. Does not know who may validate, what a key is or
which moves a call allows. Every validator has one pool of working stake and one per release epoch, so that a reward
or a slash costs a bounded number of writes however many delegators there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Protocol, TypeVar

from flockchain.primitives.codec import HASH, U64, U128
from flockchain.primitives.errors import Refused, invariant
from flockchain.primitives.numbers import BPS, AccountId, Balance, Epoch, Stake
from flockchain.runtime.frame import Context, State, StateReader, StorageMap, TupleOf
from flockchain.runtime.stake_pool import EMPTY_POOL, POOL, Pool, add_stake, compute_value, remove_stake, slash_pool

__all__ = ["LOOKAHEAD_EPOCHS", "STAKE_POT", "Bank", "NothingBonded", "NothingReleased", "StakeLedger", "StakeTooLow"]

K = TypeVar("K")

STAKE_POT: Final = "staking"
LOOKAHEAD_EPOCHS: Final = 1  # stake unbonded in epoch c still counts in the set of c + this


class StakeTooLow(Refused):
    """A stake is, or would be left, under its minimum."""

    def __init__(self, stake: int, least: int) -> None:
        super().__init__("the stake is under its minimum", stake=stake, least=least)


class NothingBonded(Refused):
    """The account has no such stake with that validator."""


class NothingReleased(Refused):
    """No unbonded stake of the account is free yet."""


class Bank(Protocol):
    """Where stake comes from and goes."""

    def collect(self, state: State, account: AccountId, pot: str, amount: Balance) -> None: ...

    def pay(self, state: State, pot: str, account: AccountId, amount: Balance) -> None: ...

    def burn_from_pot(self, ctx: Context, pot: str, amount: Balance) -> None: ...

    def mint_to_pot(self, state: State, pot: str, amount: Balance) -> Balance: ...

    def get_pot(self, state: StateReader, pot: str) -> Balance: ...


POOLS: Final = StorageMap[AccountId, Pool]("staking", "pool", HASH, POOL)
SHARES: Final = StorageMap[tuple[AccountId, AccountId], int]("staking", "shares", TupleOf(HASH, HASH), U128)
RELEASE_POOLS: Final = StorageMap[tuple[AccountId, Epoch], Pool]("staking", "release_pool", TupleOf(HASH, U64), POOL)
RELEASES: Final = StorageMap[tuple[AccountId, AccountId, Epoch], int](  # (delegator, validator, release epoch)
    "staking", "release", TupleOf(HASH, HASH, U64), U128
)


class StakeLedger:
    """Moves of stake. `unbonding_epochs` is how long it waits on its way out."""

    def __init__(self, bank: Bank, unbonding_epochs: int) -> None:
        self._bank = bank
        self._unbonding_epochs = unbonding_epochs

    def open_pool(self, state: State, validator: AccountId, stake: Stake) -> None:
        """A validator's own stake at genesis; the caller mints it into the pot."""
        POOLS.set(state, validator, Pool(stake, stake))
        SHARES.set(state, (validator, validator), stake)

    def add(self, state: State, validator: AccountId, delegator: AccountId, amount: Stake) -> None:
        """Move free units of the delegator into the validator's pool."""
        pool, issued = add_stake(self.get_pool(state, validator), amount)
        self._bank.collect(state, delegator, STAKE_POT, Balance(amount))
        POOLS.set(state, validator, pool)
        _add_shares(state, validator, delegator, issued)

    def release(
        self, state: State, validator: AccountId, delegator: AccountId, amount: Stake, least: int, epoch: Epoch
    ) -> tuple[Stake, Epoch]:
        """Start moving stake out in `epoch`: (how much, when it is free). What is left is nothing, or `least`."""
        held = SHARES.get_or(state, (validator, delegator), 0)
        pool = self.get_pool(state, validator)
        if not held or (not amount and compute_value(pool, held)):
            raise NothingBonded("there is no such stake to take out", validator=validator, amount=amount)
        pool, used, out = remove_stake(pool, held, amount)
        left = compute_value(pool, held - used)
        if used < held and left < least:
            raise StakeTooLow(left, least)
        _store_or_drop(POOLS, state, validator, pool)
        if used < held:
            SHARES.set(state, (validator, delegator), held - used)
        else:
            SHARES.delete(state, (validator, delegator))
        release_epoch = Epoch(epoch + LOOKAHEAD_EPOCHS + self._unbonding_epochs)
        if out:
            self._wait(state, validator, delegator, out, release_epoch)
        return out, release_epoch

    def withdraw(self, state: State, validator: AccountId, delegator: AccountId, epoch: Epoch) -> Stake:
        """Pay out everything of a delegator that is free in `epoch`."""
        released = [
            (key, shares)
            for key, shares in RELEASES.items(state, first=(delegator, validator))
            if key[2] <= epoch
        ]  # fmt: skip
        if not released:
            raise NothingReleased("no stake of this account is released yet", validator=validator)
        total = 0
        for key, shares in released:
            pool = RELEASE_POOLS.require(state, key[1:])
            pool, _, amount = remove_stake(pool, shares, pool.stake)
            _store_or_drop(RELEASE_POOLS, state, key[1:], pool)
            RELEASES.delete(state, key)
            total += amount
        self._bank.pay(state, STAKE_POT, delegator, Balance(total))
        return Stake(total)

    def slash(self, state: State, validator: AccountId, fraction_bps: int, offence_epoch: Epoch, now: Epoch) -> Stake:
        """Take a fraction of all stake that counted in `offence_epoch` or joined since. The caller burns it."""
        pool, taken = slash_pool(self.get_pool(state, validator), fraction_bps)
        if taken:
            POOLS.set(state, validator, pool)
        total = int(taken)
        last = now + LOOKAHEAD_EPOCHS + self._unbonding_epochs
        for release_epoch in range(offence_epoch + self._unbonding_epochs, last + 1):
            key = (validator, Epoch(release_epoch))
            waiting = RELEASE_POOLS.get(state, key)
            if waiting is not None:
                waiting, taken = slash_pool(waiting, fraction_bps)
                RELEASE_POOLS.set(state, key, waiting)
                total += taken
        return Stake(total)

    def reward(self, state: State, validator: AccountId, amount: Balance, commission_bps: int) -> Balance:
        """Issue up to `amount` into a pool, the commission as shares of the validator's own. Returns how much."""
        issued_units = self._bank.mint_to_pot(state, STAKE_POT, amount)
        if not issued_units:
            return issued_units
        pool = self.get_pool(state, validator)
        commission = issued_units * commission_bps // BPS
        pool = Pool(Stake(pool.stake + issued_units - commission), pool.shares)
        if commission * pool.shares // pool.stake:
            pool, issued = add_stake(pool, commission)
            _add_shares(state, validator, validator, issued)
        else:
            pool = Pool(Stake(pool.stake + commission), pool.shares)
        POOLS.set(state, validator, pool)
        return issued_units

    def get_pool(self, state: StateReader, validator: AccountId) -> Pool:
        """A validator's working stake."""
        return POOLS.get_or(state, validator, EMPTY_POOL)

    def get_delegation(self, state: StateReader, validator: AccountId, delegator: AccountId) -> Stake:
        """What a delegator (or the validator itself) has in the pool now."""
        return compute_value(self.get_pool(state, validator), SHARES.get_or(state, (validator, delegator), 0))

    def list_releases(self, state: StateReader, account: AccountId) -> Iterator[tuple[AccountId, Epoch, Stake]]:
        """An account's waiting stake: whose pool it was in, when it is free, how much it is worth now."""
        for (_, validator, epoch), shares in RELEASES.items(state, first=(account,)):
            yield validator, epoch, compute_value(RELEASE_POOLS.require(state, (validator, epoch)), shares)

    def list_pools(self, state: StateReader) -> list[AccountId]:
        """Whose working stake there is, ascending."""
        return [validator for validator, _ in POOLS.items(state)]

    def get_latest_release(self, state: StateReader) -> Epoch:
        """The last epoch in which waiting stake is free; 0 if nothing waits."""
        return max((epoch for (_, epoch), _ in RELEASE_POOLS.items(state)), default=Epoch(0))

    def try_state(self, state: StateReader) -> None:
        """Holders have exactly the pools' shares, and the pot exactly the pools' stake."""
        working = [(key[0], shares) for key, shares in SHARES.items(state)]
        waiting = [(key[1:], shares) for key, shares in RELEASES.items(state)]
        is_held = all(shares for _, shares in (*working, *waiting))
        invariant(is_held, "a holding has shares")
        staked = _require_shares_add_up(dict(POOLS.items(state)), working)
        leaving = _require_shares_add_up(dict(RELEASE_POOLS.items(state)), waiting)
        held = self._bank.get_pot(state, STAKE_POT)
        invariant(staked + leaving == held, "the pot is what the pools hold", staked=staked, leaving=leaving, pot=held)

    def _wait(
        self, state: State, validator: AccountId, delegator: AccountId, amount: Stake, release_epoch: Epoch
    ) -> None:
        waiting, issued = add_stake(RELEASE_POOLS.get_or(state, (validator, release_epoch), EMPTY_POOL), amount)
        RELEASE_POOLS.set(state, (validator, release_epoch), waiting)
        key = (delegator, validator, release_epoch)
        RELEASES.set(state, key, RELEASES.get_or(state, key, 0) + issued)


def _add_shares(state: State, validator: AccountId, delegator: AccountId, issued: int) -> None:
    SHARES.set(state, (validator, delegator), SHARES.get_or(state, (validator, delegator), 0) + issued)


def _store_or_drop(pools: StorageMap[K, Pool], state: State, key: K, pool: Pool) -> None:
    if pool.shares:
        pools.set(state, key, pool)
    else:
        pools.delete(state, key)


def _require_shares_add_up(pools: dict[Any, Pool], holdings: Iterable[tuple[Any, int]]) -> int:
    """Check that holders have exactly the pools' shares. Returns the stake in all pools."""
    held: dict[Any, int] = {}
    for key, shares in holdings:
        held[key] = held.get(key, 0) + shares
    invariant(held == {key: pool.shares for key, pool in pools.items()}, "holders have all shares", pools=len(pools))
    return sum(pool.stake for pool in pools.values())
