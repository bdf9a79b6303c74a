"""The whole fate of one simulated world, fixed before its first moment.

Knows which faults there are to be and when. Does not know how they were chosen: a profile draws them from a seed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from flockchain.replica.assembly import Habits
from flockchain.sim.evaluators import EvaluatorFaults
from flockchain.sim.faults import Fault
from flockchain.sim.network import NetworkFaults
from flockchain.sim.stakers import StakerPlan
from flockchain.sim.trainers import TrainerFaults

if TYPE_CHECKING:
    from flockchain.sim.world import World

__all__ = ["FaultPlan", "build_calm_plan"]

_HEALED_MS: Final = 120_000  # an adversary may lead many views in a row, and each of them takes longer


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """The fate of a world. `byzantine` is the index of the adversary's node, None without one.

    Its nodes are the validators of its genesis, then `guests` that have no stake at first, then the `twin`, if any: a
    second node of that validator.
    """

    faults_ms: int
    network: NetworkFaults = field(default_factory=NetworkFaults)
    faults: tuple[Fault, ...] = ()
    healed_ms: int = _HEALED_MS
    restart_ms: int = 500
    byzantine: int | None = None
    adversary: str = ""
    stakes_percent: tuple[int, ...] | None = None  # of the template's stake, one a node; None: all of it each
    links: tuple[tuple[int, int], ...] | None = None  # who is connected to whom; None: everybody to everybody
    evaluators: EvaluatorFaults = field(default_factory=EvaluatorFaults)
    trainers: TrainerFaults = field(default_factory=TrainerFaults)
    tasks: int = 1  # that are open at the same time
    committee_size: int = 4  # seats in each round's committee
    stakers: StakerPlan = field(default_factory=StakerPlan)
    guests: int = 0
    twin: int | None = None
    regions: tuple[int, ...] | None = None  # of the world, one a node (`wan/regions.py`); None: all in one place
    epoch_blocks: int | None = None  # None: the template's
    habits: Habits = field(default_factory=Habits)  # of all nodes: when they join by snapshots, and what they keep

    def unleash(self, world: World) -> None:
        """Put every planned fault on the world's schedule."""
        for fault in self.faults:
            fault.unleash(world)


def build_calm_plan(faults_ms: int, evaluators: EvaluatorFaults | None = None) -> FaultPlan:
    """A calm network, perhaps with bad evaluators."""
    return FaultPlan(faults_ms, evaluators=evaluators or EvaluatorFaults())
