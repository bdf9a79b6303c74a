"""Who is paid for a round, who loses, and where bonds go (PROTOCOL §5).

Members are paid for a revealed vote whose evidence opened, by stake, and never for agreeing with others. Trainers of
accepted updates share the rest by measured contribution in bands of TIE_BAND (differences inside a band are noise),
each at most its bond. Copies are not accepted, so a copied update earns once and its first committer has it. What is
not paid stays in the pool. Bonds return when the round ends: less a fee when the bytes could not be had, less half
when they were malformed. Members that did not commit and reveal lose a small part of their stake.

Does not judge: verdicts come from validation. Every payment is bounded by what the pool holds for the round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from flockchain.primitives.codec import HASH, U32, U128, struct
from flockchain.primitives.errors import invariant
from flockchain.primitives.learning import ReasonCode, ScoreVote, UpdateRecord, Verdict
from flockchain.primitives.numbers import BPS, ZERO_HASH, AccountId, Balance, Epoch, Round, Score, Stake, TaskId
from flockchain.primitives.rounds import CommitteeMember
from flockchain.runtime.frame import Context, Pallet, State, StateReader, StorageMap
from flockchain.runtime.genesis_config import LearningConfig
from flockchain.runtime.rounds import ROUND_KEY, RoundKey

__all__ = [
    "MALFORMED_BURN_BPS", "TIE_BAND", "BondReturned", "MemberAbsent", "MemberPaid", "Rewards", "TrainerPaid",
    "compute_contribution_weight", "compute_trainer_rewards",
]  # fmt: skip

BOND_POT: Final = "bonds"
TIE_BAND: Final = 2_000  # micro-nats: differences of score inside a band are noise
MALFORMED_BURN_BPS: Final = 5_000


# Events


@dataclass(frozen=True, slots=True)
class MemberPaid:
    """A committee member revealed with evidence that opened."""

    task: TaskId
    round: Round
    member: AccountId
    amount: Balance


@dataclass(frozen=True, slots=True)
class MemberAbsent:
    """A committee member did not commit, or did not reveal."""

    task: TaskId
    round: Round
    member: AccountId
    lost: Stake


@dataclass(frozen=True, slots=True)
class TrainerPaid:
    """An accepted update's share of the round."""

    task: TaskId
    round: Round
    trainer: AccountId
    amount: Balance


@dataclass(frozen=True, slots=True)
class BondReturned:
    """An update's bond is back, less what was burned."""

    task: TaskId
    round: Round
    trainer: AccountId
    returned: Balance
    burned: Balance


# Needs


class Bank(Protocol):
    """Pots of balances."""

    def pay(self, state: State, pot: str, account: AccountId, amount: Balance) -> None: ...

    def burn_from_pot(self, ctx: Context, pot: str, amount: Balance) -> None: ...


class Pools(Protocol):
    """The reward pools of tasks."""

    def get_round_budget(self, state: StateReader, task: TaskId) -> Balance: ...

    def pay(self, state: State, task: TaskId, account: AccountId, amount: Balance) -> None: ...

    def find_pool_left(self, state: StateReader, task: TaskId, round: Round) -> Balance | None: ...


class Stakes(Protocol):
    """The stake of validators."""

    def slash(
        self, ctx: Context, validator: AccountId, fraction_bps: int, offence_epoch: Epoch, reporter: AccountId | None
    ) -> Stake: ...


# Storage

TRAINER_BUDGETS: Final = StorageMap[RoundKey, Balance]("rewards", "trainer_budget", ROUND_KEY, U128)


class Rewards(Pallet):
    """See the module. Validation calls it when a round is tallied and when it ends."""

    name = "rewards"
    index = 8
    events = {  # noqa: RUF012
        0: struct(MemberPaid, task=U32, round=U32, member=HASH, amount=U128),
        1: struct(MemberAbsent, task=U32, round=U32, member=HASH, lost=U128),
        2: struct(TrainerPaid, task=U32, round=U32, trainer=HASH, amount=U128),
        3: struct(BondReturned, task=U32, round=U32, trainer=HASH, returned=U128, burned=U128),
    }

    def __init__(self, config: LearningConfig, pools: Pools, bank: Bank, stakes: Stakes) -> None:
        self._config = config
        self._pools = pools
        self._bank = bank
        self._stakes = stakes

    # For validation

    def pay_committee(
        self, ctx: Context, key: RoundKey, committee: Sequence[CommitteeMember], votes: Mapping[AccountId, ScoreVote]
    ) -> None:
        """Pay the members that revealed evidence. An absent member's part stays in the pool."""
        task, round_ = key
        budget = self._pools.get_round_budget(ctx.state, task)
        share = budget * self._config.committee_share_bps // BPS
        TRAINER_BUDGETS.set(ctx.state, key, Balance(budget - share))
        total = sum(member.stake for member in committee)
        for member in committee:
            vote = votes.get(member.account)
            amount = Balance(share * member.stake // total)
            if vote is not None and vote.evidence_root != ZERO_HASH and amount:
                self._pools.pay(ctx.state, task, member.account, amount)
                ctx.deposit(MemberPaid(task, round_, member.account, amount))

    def slash_absent(self, ctx: Context, key: RoundKey, members: Sequence[CommitteeMember], epoch: Epoch) -> None:
        """Take a small part of the stake of members that did not do their part."""
        for member in members:
            lost = self._stakes.slash(ctx, member.account, self._config.absent_slash_bps, epoch, None)
            ctx.deposit(MemberAbsent(*key, member.account, lost))

    def pay_trainers(
        self, ctx: Context, key: RoundKey, updates: Sequence[UpdateRecord], verdicts: Sequence[Verdict]
    ) -> None:
        """Share what the tally left for trainers among the accepted updates of a round that advanced."""
        task, round_ = key
        budget = TRAINER_BUDGETS.get_or(ctx.state, key, Balance(0))
        for update, amount in zip(updates, compute_trainer_rewards(budget, updates, verdicts), strict=True):
            if amount:
                self._pools.pay(ctx.state, task, update.trainer, amount)
                ctx.deposit(TrainerPaid(task, round_, update.trainer, amount))

    def return_bonds(
        self, ctx: Context, key: RoundKey, updates: Sequence[UpdateRecord], verdicts: Sequence[Verdict]
    ) -> None:
        """Return every bond of a round that ended, less what its verdict costs. No verdicts: all of it."""
        invariant(len(verdicts) in (0, len(updates)), "verdicts are of all updates or none", verdicts=len(verdicts))
        costs = {
            ReasonCode.UNAVAILABLE: self._config.unavailable_fee_bps,
            ReasonCode.MALFORMED: MALFORMED_BURN_BPS,
        }
        for index, update in enumerate(updates):
            bps = costs.get(verdicts[index].reason, 0) if verdicts else 0
            burned = Balance(update.bond * bps // BPS)
            returned = Balance(update.bond - burned)
            self._bank.burn_from_pot(ctx, BOND_POT, burned)
            self._bank.pay(ctx.state, BOND_POT, update.trainer, returned)
            ctx.deposit(BondReturned(*key, update.trainer, returned, burned))

    # Views

    def get_constants(self) -> Mapping[str, int | str]:
        config = self._config
        return {
            "tie_band": TIE_BAND, "malformed_burn_bps": MALFORMED_BURN_BPS,
            "absent_slash_bps": config.absent_slash_bps, "unavailable_fee_bps": config.unavailable_fee_bps,
            "committee_share_bps": config.committee_share_bps,
        }  # fmt: skip

    def try_state(self, state: StateReader) -> None:
        for (task, round_), budget in TRAINER_BUDGETS.items(state):
            left = self._pools.find_pool_left(state, task, round_)
            is_held = left is None or budget <= left
            invariant(is_held, "the pool holds what a round may pay its trainers", task=task, round=round_, left=left)


def compute_contribution_weight(score: Score) -> int:
    """An accepted update's weight: 1 for the band around zero, 1 more for each band above it, 0 for those below."""
    return max(0, 1 + (score + TIE_BAND // 2) // TIE_BAND)


def compute_trainer_rewards(
    budget: Balance, updates: Sequence[UpdateRecord], verdicts: Sequence[Verdict]
) -> tuple[Balance, ...]:
    """One amount an update, in order: by weight among the accepted, at most its bond; together at most `budget`."""
    weights = [
        compute_contribution_weight(verdict.median_score) if verdict.reason is ReasonCode.ACCEPTED else 0
        for verdict in verdicts
    ]
    total = sum(weights)
    return tuple(
        Balance(min(update.bond, budget * weight // total) if total else 0)
        for update, weight in zip(updates, weights, strict=True)
    )
