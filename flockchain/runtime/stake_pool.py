"""A pool of stake held in shares: gains and losses reach every holder in proportion, at one write.

Knows only integers. A reward raises the stake under the same shares, a slash lowers it; what a holder has is
shares · stake / all shares. Every division rounds in favour of those who stay, so no sequence of moves gains a unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flockchain.primitives.codec import U128, struct
from flockchain.primitives.errors import Refused, invariant
from flockchain.primitives.numbers import BPS, Stake

__all__ = ["EMPTY_POOL", "POOL", "SHARES_PER_UNIT_MAX", "Pool", "PoolRuined", "add_stake", "compute_value",
           "remove_stake", "slash_pool"]  # fmt: skip

SHARES_PER_UNIT_MAX: Final = 2**32  # with issuance under 2^90 units, shares stay under 128 bits


class PoolRuined(Refused):
    """A pool was slashed so far that its shares have no sensible price."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Units at stake, and the shares that they are divided into."""

    stake: Stake
    shares: int

    @property
    def is_sound(self) -> bool:
        """Whether shares have a price at which new ones can be issued."""
        return self.shares == self.stake == 0 or 0 < self.shares <= self.stake * SHARES_PER_UNIT_MAX


EMPTY_POOL: Final = Pool(Stake(0), 0)
POOL: Final = struct(Pool, stake=U128, shares=U128)


def add_stake(pool: Pool, amount: int) -> tuple[Pool, int]:
    """The pool with `amount` more, and the shares that it buys. Refuses a ruined pool and an amount under a share."""
    if not pool.is_sound:
        raise PoolRuined("the pool was slashed too far to take stake", stake=pool.stake, shares=pool.shares)
    issued = amount if not pool.shares else amount * pool.shares // pool.stake
    if not issued:
        raise PoolRuined("the amount is under one share of the pool", amount=amount, stake=pool.stake)
    return Pool(Stake(pool.stake + amount), pool.shares + issued), issued


def compute_value(pool: Pool, shares: int) -> Stake:
    """What `shares` of the pool are worth, rounded down."""
    return Stake(shares * pool.stake // pool.shares if pool.shares else 0)


def remove_stake(pool: Pool, held: int, amount: int) -> tuple[Pool, int, Stake]:
    """Take `amount` out for a holder of `held` shares: (pool, shares used up, units out).

    An amount of the holding's whole value or more takes all its shares, so that nothing unusable stays behind.
    """
    invariant(0 < held <= pool.shares, "a holder has some of the pool's shares", held=held, shares=pool.shares)
    value = compute_value(pool, held)
    if amount >= value:
        used, out = held, value
    else:
        used, out = -(-amount * pool.shares // pool.stake), Stake(amount)
    return Pool(Stake(pool.stake - out), pool.shares - used), used, out


def slash_pool(pool: Pool, fraction_bps: int) -> tuple[Pool, Stake]:
    """The pool less a fraction, and what was taken, rounded down."""
    invariant(0 <= fraction_bps <= BPS, "a slash is a fraction", fraction_bps=fraction_bps)
    taken = Stake(pool.stake * fraction_bps // BPS)
    return Pool(Stake(pool.stake - taken), pool.shares), taken
