"""Validators that come and go: they bond, add, unbond, chill, resume, leave and withdraw, by ordinary extrinsics.

Three honest founders always stay, so that one Byzantine founder never has a third of the stake. Each extrinsic is
handed to some node that is up. Knows who may act and the chain's finalized state. Does not know what becomes of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flockchain.crypto import ed25519
from flockchain.primitives.numbers import AccountId, Balance, Stake
from flockchain.runtime.dev_keys import derive_dev_account
from flockchain.runtime.pallets import staking
from flockchain.runtime.pallets.staking import VALIDATORS
from flockchain.runtime.stake_ledger import SHARES
from flockchain.sim.traffic import TRAFFIC_ACCOUNTS, Chosen

if TYPE_CHECKING:
    from flockchain.replica.replica import Replica
    from flockchain.sim.sim_node import SimNode
    from flockchain.sim.world import World

__all__ = ["StakerPlan", "Stakers"]

_PALLET: Final = staking.Staking.index
_BOND, _BOND_EXTRA, _UNBOND, _DELEGATE, _UNDELEGATE, _WITHDRAW, _CHILL, _RESUME, _LEAVE = range(9)
_STEADY: Final = 3  # honest founders who never take stake out


@dataclass(frozen=True, slots=True)
class StakerPlan:
    """How often somebody does something; 0: never."""

    every_ms: int = 0


class Stakers:
    """The stakeholders of a world."""

    def __init__(self, world: World, plan: StakerPlan) -> None:
        self._world = world
        self._plan = plan

    def start(self) -> None:
        if self._plan.every_ms:
            self._world.schedule_fault(self._plan.every_ms, self._step)

    def _step(self) -> None:
        world = self._world
        world.schedule_fault(self._plan.every_ms, self._step)
        founders = len(world.genesis.validators)
        steady = [node.account for node in world.nodes[:founders] if node.adversary is None][:_STEADY]
        node = world.rng.choice([node for node in world.nodes if node.account not in steady])
        if world.rng.randrange(5) == 0:
            seed = derive_dev_account(world.rng.choice(TRAFFIC_ACCOUNTS))
            world.traffic.submit(seed, lambda replica: self._choose_delegation(replica, seed))
        else:
            world.traffic.submit(node.secrets.account_seed, lambda replica: self._choose(replica, node))

    def _choose(self, replica: Replica, node: SimNode) -> Chosen:
        """What this node's owner does now."""
        rng, state = self._world.rng, replica.ledger.finalized.state
        record = VALIDATORS.get(state, node.account)
        if record is None:
            self._world.mark("bond")
            return _PALLET, _BOND, self._build_bond(node)
        amount = self._draw_stake()
        options: tuple[Chosen, ...] = (
            (_PALLET, _LEAVE, staking.Leave()),
            (_PALLET, _UNBOND, staking.Unbond(amount)),
            (_PALLET, _WITHDRAW, staking.Withdraw(node.account)),
            (_PALLET, _CHILL, staking.Chill()) if record.is_active else (_PALLET, _RESUME, staking.Resume()),
        )
        if node.adversary is None:  # whose stake must not grow
            options = (*options, (_PALLET, _BOND_EXTRA, staking.BondExtra(amount)))
        chosen = rng.choice(options)
        self._world.mark(type(chosen[2]).__name__.lower())
        return chosen

    def _choose_delegation(self, replica: Replica, seed: bytes) -> Chosen:
        """A user puts stake behind an honest validator, or takes it back."""
        world, amount = self._world, self._draw_stake()
        validator = world.rng.choice(world.honest).account
        delegator = AccountId(ed25519.get_public_key(seed))
        if SHARES.contains(replica.ledger.finalized.state, (validator, delegator)) and world.rng.randrange(2):
            world.mark("undelegate")
            return _PALLET, _UNDELEGATE, staking.Undelegate(validator, Stake(amount // 20))
        world.mark("delegate")
        return _PALLET, _DELEGATE, staking.Delegate(validator, Stake(amount // 10))

    def _build_bond(self, node: SimNode) -> staking.Bond:
        secrets, bls = node.secrets, self._world.bls
        return staking.Bond(
            amount=self._draw_stake(),
            commission_bps=500,
            node_id=secrets.node_id,
            score_key=secrets.score_key,
            consensus_key=secrets.get_consensus_key(bls),
            consensus_proof=bls.prove_possession(secrets.consensus_secret),
            certificate_key=secrets.get_certificate_key(bls),
            certificate_proof=bls.prove_possession(secrets.certificate_secret),
        )

    def _draw_stake(self) -> Stake:
        """Between a tenth of a founder's stake and all of it."""
        return Stake(Balance(self._world.genesis.validators[0].stake * self._world.rng.randint(10, 100) // 100))
