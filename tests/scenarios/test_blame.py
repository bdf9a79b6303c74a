"""Whom nodes penalise, in a mesh and in a ring: the Byzantine one and never one another, however rough the network."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from flockchain.consensus.effects import BlameReason
from flockchain.replica.effects import Penalise, ReplicaEffect
from flockchain.sim.checkers import Checker, Violation
from flockchain.sim.faults import Junk
from flockchain.sim.network import NetworkFaults
from flockchain.sim.plan import FaultPlan
from flockchain.sim.sim_node import SimNode
from flockchain.sim.world import build_world
from tests.kit.sim_worlds import GENESIS

ROUGH = NetworkFaults(loss_permille=100, duplicate_permille=50, delay_min_ms=1, delay_max_ms=100, slow_permille=30)
BYZANTINE = 1
RING = ((0, 1), (1, 2), (2, 3), (3, 0))  # half of what a node hears of was brought by a neighbour


class Blame(Checker):
    """Keeps whom honest nodes penalised, and for what."""

    def __init__(self) -> None:
        self.found: dict[int, set[str]] = {}

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        if node.adversary is None and isinstance(effect, Penalise):
            nodes = [each.node_id for each in node.world.nodes]
            self.found.setdefault(nodes.index(effect.peer), set()).add(effect.reason)
        return ()


def run(plan: FaultPlan) -> dict[int, set[str]]:
    """Whom the honest nodes of a world penalised, in which no promise was broken."""
    world = build_world(0, GENESIS, plan)
    blame = Blame()
    world.checkers.append(blame)
    assert world.run().violations == ()
    return blame.found


@pytest.mark.parametrize("links", [None, RING])
@pytest.mark.parametrize(
    ("adversary", "faults", "reason"),
    [
        ("forger", (), BlameReason.BAD_CERTIFICATE),
        ("flooder", (), "the vote is not signed by that member"),
        ("double_voter", (Junk(2_000, BYZANTINE, "flipped", 150),), BlameReason.BAD_VOTE),
    ],
)
def test_only_the_byzantine_node_is_penalised_and_for_what_it_did(
    adversary: str, faults: tuple[Junk, ...], reason: str, links: tuple[tuple[int, int], ...] | None
) -> None:
    found = run(FaultPlan(5_000, network=ROUGH, byzantine=BYZANTINE, adversary=adversary, faults=faults, links=links))
    assert found.keys() == {BYZANTINE}
    assert any(said.startswith(reason) for said in found[BYZANTINE])


def test_where_all_are_honest_nobody_is_penalised() -> None:
    assert run(FaultPlan(5_000, network=ROUGH)) == {}
