"""The checkers see what they are for: in each world here a rule of the node is broken on purpose."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from flockchain.mempool.learning_pool import LearningPoolLimits
from flockchain.primitives import validator_set
from flockchain.primitives.learning import ReasonCode
from flockchain.primitives.numbers import Stake
from flockchain.replica import conversation
from flockchain.replica.accusations import Accusations
from flockchain.replica.learning_desk import LearningDesk
from flockchain.runtime.pallets import models, offences, validation
from flockchain.runtime.pallets.balances import Balances
from flockchain.runtime.pallets.rewards import Rewards
from flockchain.runtime.pallets.system import System
from flockchain.runtime.pallets.validation import Validation
from flockchain.sim.adversaries import flooder
from flockchain.sim.plan import FaultPlan, build_calm_plan
from flockchain.sim.profiles import find_profile
from flockchain.sim.sim_node import SimNode
from flockchain.sim.world import build_world
from flockchain.storage.archive import Archive
from tests.kit.sim_worlds import GENESIS

CALM = build_calm_plan(6_000)
SEED = 8  # a multiple of eight: the whole chain is executed again at the end


def get_broken(plan: FaultPlan = CALM) -> set[str]:
    """The promises that are broken in the world."""
    world = build_world(SEED, GENESIS, plan)
    world.run()
    return {violation.promise for violation in world.violations}


def with_adversary(name: str, faults_ms: int = 8_000) -> FaultPlan:
    return FaultPlan(faults_ms, byzantine=0, adversary=name)


def test_an_unbroken_world_breaks_no_promise() -> None:
    assert get_broken() == set()


def test_a_quorum_that_is_too_small_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validator_set, "is_quorum", lambda part, total: 3 * part > total)
    # Two blocks at a height, or a node that met two certificates and stopped.
    assert any(
        {"agreement", "standing"} & get_broken(find_profile("swarm").draw(Random(seed), 4)) for seed in range(4, 40)
    )


def test_a_vote_journal_that_is_lost_in_a_crash_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    crash = SimNode.crash

    def crash_and_lose(node: SimNode) -> None:
        crash(node)
        node.vote_journal.clear()

    monkeypatch.setattr(SimNode, "crash", crash_and_lose)
    assert any("one vote" in get_broken(find_profile("swarm").draw(Random(seed), 4)) for seed in range(6, 100))


def test_a_certificate_of_one_member_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "require_certificate", lambda *_: Stake(1))
    assert "certified model" in get_broken(with_adversary("lone_certifier"))


def test_a_verdict_that_is_not_the_scores_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = validation.compute_verdicts

    def compute(*arguments):
        return tuple(replace(verdict, reason=ReasonCode.ACCEPTED) for verdict in right(*arguments))[::-1]

    monkeypatch.setattr(validation, "compute_verdicts", compute)
    assert "verdicts" in get_broken()


def test_a_phase_that_does_not_close_at_its_deadline_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Validation, "_step_submit", lambda *_: False)
    assert "deadline" in get_broken()


def test_a_bond_that_does_not_come_back_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rewards, "return_bonds", lambda *_: None)
    assert {"bonds", "invariants"} <= get_broken()


def test_an_offence_that_is_punished_twice_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offences.REPORTED, "contains", lambda *_: False)
    monkeypatch.setattr(Accusations, "on_finalized", lambda *_: None)
    assert "slashing" in get_broken(with_adversary("double_voter"))


def test_an_offence_that_nobody_reports_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Accusations, "take", lambda _: ())
    assert "slashing" in get_broken(with_adversary("double_voter"))


def test_units_from_nowhere_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Balances.pay
    monkeypatch.setattr(Balances, "pay", lambda self, state, pot, account, amount: (
        right(self, state, pot, account, amount), self.mint_to_pot(state, pot, 1)
    ))  # fmt: skip
    assert "issuance" in get_broken()


def test_units_that_vanish_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Balances, "share_fees", lambda *_: None)
    assert {"issuance", "invariants"} <= get_broken()


def test_an_extrinsic_that_runs_again_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(System, "apply_nonce", lambda *_: None)
    assert "once" in get_broken()


def test_a_queue_over_its_limit_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    build = LearningDesk.__init__

    def build_boundless(desk, *arguments):
        build(desk, *arguments)
        desk._pool._limits = LearningPoolLimits(per_source_max=1_000_000)

    monkeypatch.setattr(LearningDesk, "__init__", build_boundless)
    monkeypatch.setattr(conversation, "is_expected", lambda *_: True)
    monkeypatch.setattr(flooder, "_EVERY_VIEWS", 6)
    assert "queues" in get_broken(with_adversary("flooder", 2_000))


def test_a_disk_that_loses_a_change_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Archive._write

    def lose(self, head, puts, changes):
        right(self, head, puts, {key: value for key, value in changes.items() if not key.startswith(b"updates/index/")})

    monkeypatch.setattr(Archive, "_write", lose)
    assert get_broken() == {"replay"}
