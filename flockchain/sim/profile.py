"""What goes wrong in a simulated world: drawn from the seed, by profile.

calm       nothing
swarm      loss, delay, partitions, crashes, one Byzantine of all; sometimes a ring in place of a full mesh
learning   evaluators that fail, stall, lie or die, trainers that keep their bytes back; a rougher network, crashes
<name>     a calm network with that adversary
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from flockchain.primitives.errors import InvalidInput
from flockchain.sim.adversaries import ADVERSARIES
from flockchain.sim.evaluators import EvaluatorDeath, EvaluatorFaults
from flockchain.sim.network import NetworkFaults
from flockchain.sim.trainers import TrainerFaults

if TYPE_CHECKING:
    from flockchain.sim.world import World

__all__ = ["PROFILES", "Crash", "FaultPlan", "Partition", "build_calm_plan", "draw_plan"]

PROFILES: Final = ("calm", "swarm", "learning")
_STAKES_PERCENT: Final = (85, 115)  # of four such stakes each is less than a third
_HEALED_MS: Final = 120_000  # an adversary may lead many views in a row, and each of them takes longer
_ALWAYS_MS: Final = 10**9


@dataclass(frozen=True, slots=True)
class Crash:
    """A node stops after `effects` more effects, counted from `at_ms`: between any two of them."""

    at_ms: int
    node: int
    effects: int


@dataclass(frozen=True, slots=True)
class Partition:
    """From `at_ms` on, for `length_ms`, nodes reach only those of their own side."""

    at_ms: int
    length_ms: int
    sides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """The whole fate of a world. `byzantine` is the index of the adversary's node, None without one."""

    faults_ms: int
    network: NetworkFaults = field(default_factory=NetworkFaults)
    healed_ms: int = _HEALED_MS
    restart_ms: int = 500
    byzantine: int | None = None
    adversary: str = ""
    stakes_percent: tuple[int, ...] | None = None  # of the template's stake, one a node; None: all of it each
    links: tuple[tuple[int, int], ...] | None = None  # who is connected to whom; None: everybody to everybody
    crashes: tuple[Crash, ...] = ()
    partitions: tuple[Partition, ...] = ()
    evaluators: EvaluatorFaults = field(default_factory=EvaluatorFaults)
    trainers: TrainerFaults = field(default_factory=TrainerFaults)

    def unleash(self, world: World) -> None:
        """Put every planned fault on the world's schedule."""
        for crash in self.crashes:
            node = world.nodes[crash.node]
            world.schedule.add(crash.at_ms, lambda node=node, crash=crash: world.plan_crash(node, crash.effects))  # type: ignore[misc]
        for cut in self.partitions:
            sides = {node.node_id: side for node, side in zip(world.nodes, cut.sides, strict=True)}
            world.schedule.add(cut.at_ms, lambda sides=sides: world.network.partition(sides))  # type: ignore[misc]
            world.schedule.add(cut.at_ms + cut.length_ms, lambda: world.network.partition({}))


def draw_plan(profile: str, rng: random.Random, nodes: int = 4) -> FaultPlan:
    """The fate of one seed. Raises `InvalidInput` for an unknown profile."""
    if profile == "calm":
        return build_calm_plan(2_000)
    if profile == "swarm":
        return _draw_swarm(rng, nodes)
    if profile == "learning":
        return _draw_learning(rng, nodes)
    if profile in ADVERSARIES:
        return FaultPlan(25_000, byzantine=rng.randrange(nodes), adversary=profile)
    known = ", ".join((*PROFILES, *sorted(ADVERSARIES)))
    raise InvalidInput("there is no such profile", profile=profile, profiles=known)


def build_calm_plan(faults_ms: int, evaluators: EvaluatorFaults | None = None) -> FaultPlan:
    """A calm network, perhaps with bad evaluators."""
    return FaultPlan(faults_ms, evaluators=evaluators or EvaluatorFaults())


def _draw_swarm(rng: random.Random, nodes: int) -> FaultPlan:
    faults_ms = rng.randint(4_000, 8_000)
    return FaultPlan(
        faults_ms,
        network=_draw_network(rng, (0, 20, 100, 250), (10, 50, 200)),
        restart_ms=rng.randint(100, 1_500),
        byzantine=rng.randrange(nodes),
        adversary=rng.choice(tuple(ADVERSARIES)),
        stakes_percent=tuple(rng.randint(*_STAKES_PERCENT) for _ in range(nodes)) if rng.randrange(2) else None,
        links=None if rng.randrange(6) else tuple((node, (node + 1) % nodes) for node in range(nodes)),
        crashes=_draw_crashes(rng, faults_ms, nodes, 3),
        partitions=tuple(
            Partition(rng.randrange(faults_ms), rng.randint(300, 4_000), tuple(rng.randrange(2) for _ in range(nodes)))
            for _ in range(rng.randrange(3))
        ),
    )


def _draw_learning(rng: random.Random, nodes: int) -> FaultPlan:
    faults_ms = rng.randint(8_000, 14_000)
    if rng.randrange(4) == 0:  # all evaluators are dead, from some moment on
        at_ms = rng.randrange(faults_ms // 2)
        deaths = tuple(EvaluatorDeath(at_ms, _ALWAYS_MS, node) for node in range(nodes))
    else:
        deaths = tuple(
            EvaluatorDeath(rng.randrange(faults_ms), rng.randint(500, 6_000), rng.randrange(nodes))
            for _ in range(rng.randrange(5))
        )
    return FaultPlan(
        faults_ms,
        network=_draw_network(rng, (0, 0, 20, 100), (10, 50)),
        restart_ms=rng.randint(100, 1_500),
        byzantine=rng.randrange(nodes) if rng.randrange(3) == 0 else None,
        adversary=rng.choice(tuple(ADVERSARIES)),
        crashes=_draw_crashes(rng, faults_ms, nodes, 4),
        evaluators=EvaluatorFaults(
            fail_permille=rng.choice((0, 100, 500)),
            stall_permille=rng.choice((0, 0, 100, 300)),
            liar=rng.randrange(nodes) if rng.randrange(2) else None,
            deaths=deaths,
        ),
        trainers=TrainerFaults(
            withheld_permille=rng.choice((0, 150)),
            partial_permille=rng.choice((0, 150)),
            malformed_permille=rng.choice((0, 100)),
            copied_permille=rng.choice((0, 100)),
        ),
    )


def _draw_network(rng: random.Random, losses: tuple[int, ...], delays_ms: tuple[int, ...]) -> NetworkFaults:
    return NetworkFaults(
        loss_permille=rng.choice(losses),
        duplicate_permille=rng.choice((0, 50)),
        delay_min_ms=1,
        delay_max_ms=rng.choice(delays_ms),
        slow_permille=rng.choice((0, 30)),
    )


def _draw_crashes(rng: random.Random, faults_ms: int, nodes: int, most: int) -> tuple[Crash, ...]:
    if rng.randrange(8) == 0:  # the power goes everywhere
        at_ms = rng.randrange(faults_ms)
        return tuple(Crash(at_ms, node, rng.randrange(10)) for node in range(nodes))
    return tuple(
        Crash(rng.randrange(faults_ms), rng.randrange(nodes), rng.randrange(40)) for _ in range(rng.randrange(most + 1))
    )
