"""What goes wrong in a simulated world: drawn from the seed, by profile."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flockchain.primitives.errors import InvalidInput
from flockchain.sim.network import NetworkFaults

if TYPE_CHECKING:
    from flockchain.sim.world import World

__all__ = ["BYZANTINE", "PROFILES", "Crash", "FaultPlan", "Partition", "draw_plan"]

PROFILES: Final = ("calm", "swarm")
BYZANTINE: Final = (
    "double_voter", "equivocating_leader", "false_revealer", "impostor", "invalid_proposer", "lone_certifier",
    "root_forger", "withholder",
)  # fmt: skip


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

    network: NetworkFaults
    faults_ms: int
    healed_ms: int
    restart_ms: int
    byzantine: int | None
    adversary: str
    crashes: tuple[Crash, ...]
    partitions: tuple[Partition, ...]

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
    """The fate of one seed. Raises `InvalidInput` for an unknown profile.

    "calm" has no faults, "swarm" draws its own of every kind; an adversary's name is a calm network with that adversary.
    """
    if profile in BYZANTINE:
        return FaultPlan(NetworkFaults(), 25_000, 20_000, 500, rng.randrange(nodes), profile, (), ())
    if profile not in PROFILES:
        known = ", ".join((*PROFILES, *BYZANTINE))
        raise InvalidInput("there is no such profile", profile=profile, profiles=known)
    if profile == "calm":
        return FaultPlan(NetworkFaults(), 2_000, 20_000, 500, None, "", (), ())
    faults_ms = rng.randint(4_000, 8_000)
    network = NetworkFaults(
        loss_permille=rng.choice((0, 20, 100, 250)),
        duplicate_permille=rng.choice((0, 50)),
        delay_min_ms=1,
        delay_max_ms=rng.choice((10, 50, 200)),
        slow_permille=rng.choice((0, 30)),
    )
    byzantine = rng.randrange(nodes) if rng.randrange(4) else None
    crashes = tuple(
        Crash(rng.randrange(faults_ms), rng.randrange(nodes), rng.randrange(40)) for _ in range(rng.randrange(4))
    )
    partitions = tuple(
        Partition(rng.randrange(faults_ms), rng.randint(300, 2_000), tuple(rng.randrange(2) for _ in range(nodes)))
        for _ in range(rng.randrange(3))
    )
    return FaultPlan(
        network, faults_ms, 20_000, rng.randint(100, 1_500), byzantine, rng.choice(BYZANTINE), crashes, partitions
    )
