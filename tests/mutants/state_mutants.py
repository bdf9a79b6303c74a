"""Mutants of the state machine: fees, nonces, stake, evidence, roots, disks, queues."""

from __future__ import annotations

import pytest

from flockchain.mempool.learning_pool import LearningPoolLimits
from flockchain.primitives.numbers import Epoch
from flockchain.replica import conversation
from flockchain.replica.accusations import Accusations
from flockchain.replica.learning_desk import LearningDesk
from flockchain.runtime import ledger, stake_ledger
from flockchain.runtime.ledger import Ledger
from flockchain.runtime.pallets import offences
from flockchain.runtime.pallets.balances import Balances
from flockchain.runtime.pallets.offences import Offences
from flockchain.runtime.pallets.rewards import Rewards
from flockchain.runtime.pallets.staking import Staking
from flockchain.runtime.pallets.system import System
from flockchain.runtime.stake_ledger import StakeLedger
from flockchain.sim.adversaries import flooder
from flockchain.storage.archive import Archive
from flockchain.storage.overlay import Overlay
from tests.mutants.mutant import Mutant

__all__ = ["STATE_MUTANTS"]


def ignore_state_root(patch: pytest.MonkeyPatch) -> None:
    right = Ledger.execute

    def execute(self, block):
        try:
            return right(self, block)
        except ledger.WrongStateRoot:
            parent = self._require_parent(block.header.parent)
            overlay = Overlay(parent.layer)
            outcome = self._executive.apply_block(overlay, block, parent.header)
            changes = dict(overlay.changes)
            block_hash = ledger.compute_block_hash(block.header)
            return self._add(parent, block, block_hash, outcome, changes, parent.tree.apply(changes))

    patch.setattr(Ledger, "execute", execute)


def mint_fees(patch: pytest.MonkeyPatch) -> None:
    """The proposer gets its half and what should have been burned."""
    right = Balances.share_fees

    def share(self, ctx, fees, tips):
        right(self, ctx, fees, tips)
        if fees:
            self.mint_to_pot(ctx.state, "staking", fees)

    patch.setattr(Balances, "share_fees", share)


def lose_fees(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Balances, "share_fees", lambda *_: None)


def ignore_nonces(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(System, "apply_nonce", lambda *_: None)


def release_at_once(patch: pytest.MonkeyPatch) -> None:
    right = StakeLedger._wait

    def wait(self, state, validator, delegator, amount, release_epoch):
        right(self, state, validator, delegator, amount, Epoch(release_epoch - stake_ledger.LOOKAHEAD_EPOCHS - 4))

    release = StakeLedger.release

    def release_now(self, state, validator, delegator, amount, least, epoch):
        out, _ = release(self, state, validator, delegator, amount, least, epoch)
        return out, epoch

    patch.setattr(StakeLedger, "_wait", wait)
    patch.setattr(StakeLedger, "release", release_now)


def slash_the_proposer(patch: pytest.MonkeyPatch) -> None:
    right = Staking.slash

    def slash(self, ctx, validator, fraction_bps, offence_epoch, reporter):
        victim = validator if reporter is None else ctx.block.proposer
        return right(self, ctx, victim, fraction_bps, offence_epoch, reporter)

    patch.setattr(Staking, "slash", slash)


def punish_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(offences.REPORTED, "contains", lambda *_: False)


def punish_on_hearsay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(offences, "verify_vote", lambda *_: True)


def keep_evidence_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Accusations, "take", lambda _: ())


def forget_to_jail(patch: pytest.MonkeyPatch) -> None:
    """The stake goes, and no record of the offence stays."""
    right = Offences.apply_evidence

    def apply(self, ctx, raw):
        right(self, ctx, raw)
        for key in [key for key, _ in offences.REPORTED.items(ctx.state)]:
            offences.REPORTED.delete(ctx.state, key)

    patch.setattr(Offences, "apply_evidence", apply)


def return_bonds_twice(patch: pytest.MonkeyPatch) -> None:
    right = Rewards.return_bonds

    def give_back(self, ctx, key, updates, verdicts):
        right(self, ctx, key, updates, verdicts)
        for update in updates[:1]:
            self._bank.mint_to_pot(ctx.state, "bonds", update.bond)
            right(self, ctx, key, updates[:1], verdicts[:1])

    patch.setattr(Rewards, "return_bonds", give_back)


def keep_bonds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Rewards, "return_bonds", lambda *_: None)


def lose_a_change(patch: pytest.MonkeyPatch) -> None:
    """The disk does not take what a block says of some keys."""
    right = Archive._write

    def write(self, head, puts, changes):
        right(self, head, puts, {key: value for key, value in changes.items() if not key.startswith(b"updates/index/")})

    patch.setattr(Archive, "_write", write)


def lift_queue_limits(patch: pytest.MonkeyPatch) -> None:
    build = LearningDesk.__init__

    def build_boundless(desk, *arguments):
        build(desk, *arguments)
        desk._pool._limits = LearningPoolLimits(per_source_max=1_000_000)

    patch.setattr(LearningDesk, "__init__", build_boundless)
    patch.setattr(conversation, "is_expected", lambda *_: True)
    patch.setattr(flooder, "_EVERY_VIEWS", 6)


STATE_MUTANTS = (
    Mutant(
        "state_root_unchecked", "a header names its post-state", ignore_state_root, "swarm", ("outcome", "validity")
    ),
    Mutant("fees_minted", "fees make no units", mint_fees, "swarm", ("issuance",)),
    Mutant("fees_lost", "units vanish nowhere", lose_fees, "swarm", ("issuance", "invariants")),
    Mutant("nonce_unchecked", "an extrinsic runs once", ignore_nonces, "swarm", ("once",)),
    Mutant("unbonding_ignored", "stake on its way out waits", release_at_once, "epoch", ("unbonding",), is_slow=True),
    Mutant("wrong_offender", "the offender pays", slash_the_proposer, "swarm", ("slashing",)),
    Mutant("evidence_twice", "an offence counts once", punish_again, "false_accuser", ("slashing",)),
    Mutant("evidence_of_honest", "evidence is verified", punish_on_hearsay, "false_accuser", ("slashing",)),
    Mutant("evidence_kept_back", "a proven offence is punished", keep_evidence_back, "swarm", ("slashing",)),
    Mutant("offence_forgotten", "an offence stays on record", forget_to_jail, "false_accuser", ("slashing",)),
    Mutant("bond_twice", "a bond returns once", return_bonds_twice, "learning", ("bonds",), seed=1),
    Mutant("bond_kept", "a bond returns", keep_bonds, "learning", ("bonds", "invariants"), seed=1),
    Mutant("disk_loses_change", "a disk holds what was executed", lose_a_change, "calm", ("replay",)),
    Mutant("queue_unbounded", "queues have limits", lift_queue_limits, "flooder", ("queues",), is_slow=True),
)
