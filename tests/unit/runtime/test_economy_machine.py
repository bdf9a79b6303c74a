"""Balances and staking under random moves: units are conserved, and refusals change nothing but fee and nonce."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from flockchain.primitives.extrinsic import Call, ExtrinsicPayload
from flockchain.primitives.numbers import (
    ZERO_HASH,
    Balance,
    Epoch,
    Height,
    Stake,
    TimestampMs,
    View,
)  # fmt: skip
from flockchain.runtime.execution import BlockExecution, BlockOutcome
from flockchain.runtime.extrinsics import EXTRINSIC_WEIGHT, CheckedExtrinsic
from flockchain.runtime.frame import BlockContext, Context, EventLog
from flockchain.runtime.pallets.balances import Transfer, TransferAll
from flockchain.runtime.pallets.staking import BondExtra, Delegate, Unbond, Undelegate, Withdraw
from flockchain.storage.overlay import Overlay
from tests.kit.runtime_chain import FLOCK, VALIDATOR_NAMES, RuntimeChain, get_account

NAMES = (*VALIDATOR_NAMES, "account-0", "account-1", "stranger")
names = st.sampled_from(NAMES)
validators = st.sampled_from(VALIDATOR_NAMES)
amounts = st.one_of(
    st.integers(0, 10**6), st.integers(0, 200 * FLOCK), st.integers(0, 120_000 * FLOCK), st.just(2**128 - 1)
)


class Economy(RuleBasedStateMachine):
    """One call a block, without signatures, reveals or consensus."""

    @initialize()
    def start(self) -> None:
        self.chain = RuntimeChain.start()
        self.runtime = self.chain.runtime
        self.state = Overlay(self.chain.store)
        self.height = 0
        self.total = self.runtime.views.get_issuance(self.state)

    def make_context(self) -> BlockContext:
        height = Height(self.height + 1)
        epoch = self.runtime.views.get_epoch(height)
        members = self.runtime.views.get_validator_set(self.state, epoch).validators
        proposer = members[height % len(members)].account
        return BlockContext(
            ZERO_HASH, height, epoch, View(1), TimestampMs(height), proposer, self.runtime.genesis_hash, 1,
            self.runtime.bls,
        )  # fmt: skip

    def run_block(self, sender: str | None = None, name: str = "", arguments: Any = None) -> BlockOutcome:
        context = self.make_context()
        execution = BlockExecution(self.runtime, self.state, context)
        execution.initialize()
        if sender is not None:
            pallet, call = self.chain.find_call(name)
            account = get_account(sender)
            payload = ExtrinsicPayload(
                account, self.runtime.views.get_nonce(self.state, account), 0, Height(self.height), 16, 1,
                Call(pallet, call.index, b""),
            )  # fmt: skip
            arguments = call.arguments.cls() if arguments is None else arguments
            fee = self.runtime.balances.compute_fee(200, EXTRINSIC_WEIGHT + call.weight)
            execution.attempt(
                execution.apply_extrinsic,
                CheckedExtrinsic(b"x" * 200, ZERO_HASH, payload, call, arguments, EXTRINSIC_WEIGHT + call.weight, fee),
            )
        outcome = execution.finalize()
        self.height += 1
        return outcome

    @rule(sender=names, receiver=names, amount=amounts)
    def transfer(self, sender: str, receiver: str, amount: int) -> None:
        self.run_block(sender, "balances.transfer", Transfer(get_account(receiver), Balance(amount)))

    @rule(sender=names, receiver=names)
    def transfer_all(self, sender: str, receiver: str) -> None:
        self.run_block(sender, "balances.transfer_all", TransferAll(get_account(receiver)))

    @rule(sender=names, validator=validators, amount=amounts)
    def delegate(self, sender: str, validator: str, amount: int) -> None:
        self.run_block(sender, "staking.delegate", Delegate(get_account(validator), Stake(amount)))

    @rule(sender=names, validator=validators, amount=amounts)
    def undelegate(self, sender: str, validator: str, amount: int) -> None:
        self.run_block(sender, "staking.undelegate", Undelegate(get_account(validator), Stake(amount)))

    @rule(sender=validators, amount=amounts)
    def bond_extra(self, sender: str, amount: int) -> None:
        self.run_block(sender, "staking.bond_extra", BondExtra(Stake(amount)))

    @rule(sender=validators, amount=amounts)
    def unbond(self, sender: str, amount: int) -> None:
        self.run_block(sender, "staking.unbond", Unbond(Stake(amount)))

    @rule(sender=names, validator=validators)
    def withdraw(self, sender: str, validator: str) -> None:
        self.run_block(sender, "staking.withdraw", Withdraw(get_account(validator)))

    @rule(sender=validators, call=st.sampled_from(["chill", "resume", "leave"]))
    def change_standing(self, sender: str, call: str) -> None:
        self.run_block(sender, f"staking.{call}")

    @rule(blocks=st.integers(1, 30))
    def wait(self, blocks: int) -> None:
        for _ in range(blocks):
            self.run_block()

    @rule(validator=validators, reporter=st.none() | names, bps=st.integers(0, 10_000), age=st.integers(0, 3))
    def slash(self, validator: str, reporter: str | None, bps: int, age: int) -> None:
        context = self.make_context()
        ctx = Context(self.state, context, EventLog(self.runtime.event_table))
        paid_to = None if reporter is None else get_account(reporter)
        epoch = Epoch(max(0, context.epoch - age))
        self.runtime.staking.slash(ctx, get_account(validator), bps, epoch, paid_to)
        self.runtime.staking.jail(ctx, get_account(validator))

    @invariant()
    def units_are_conserved(self) -> None:
        self.runtime.balances.try_state(self.state)
        self.runtime.staking.try_state(self.state)

    @invariant()
    def issuance_grows_by_rewards_at_most(self) -> None:
        bound = self.total + self.height * self.runtime.config.balances.block_reward
        assert self.runtime.views.get_issuance(self.state) <= bound

    @invariant()
    def the_next_set_is_never_empty(self) -> None:
        epoch = self.runtime.views.get_epoch(Height(self.height + 1))
        for known in (epoch, epoch + 1):
            assert self.runtime.views.get_validator_set(self.state, Epoch(known)).validators


Economy.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestEconomy = Economy.TestCase
