"""What a mutant is, and how its worlds are run until one of them breaks a promise.

A mutant is killed by a world in which a promise that it is meant to break is broken. An exception in a node is such a
promise only where the mutant says so, so that a patch that merely does not fit kills nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from random import Random

import pytest

from flockchain.primitives.errors import FlockchainError
from flockchain.sim import recording
from flockchain.sim.checkers import Violation
from flockchain.sim.plan import FaultPlan
from flockchain.sim.profiles import find_profile
from flockchain.sim.world import World, build_world
from tests.kit.sim_worlds import GENESIS

__all__ = ["Kill", "Mutant", "build_mutant_world", "find_kill", "hunt"]

_STEP_MS = 500
_NODES = 4


@dataclass(frozen=True)
class Mutant:
    """`apply` breaks `rule`; worlds of `profile` must break one of `promises`, first of all in that of `seed`.

    A profile of the form `swarm+forger` is that profile with that adversary in each world that has one.
    """

    name: str
    rule: str
    apply: Callable[[pytest.MonkeyPatch], None]
    profile: str
    promises: tuple[str, ...]
    seed: int = 0
    is_slow: bool = False  # its world takes more than a few seconds to kill it: not for every run of the tests


@dataclass(frozen=True)
class Kill:
    """Which promise broke in which world."""

    promise: str
    seen: str
    seed: int


def hunt(mutant: Mutant, seeds: Iterable[int]) -> tuple[Kill | None, float]:
    """The first world that kills the mutant, if any does; and how many seconds that took."""
    start = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "_OTHERS", {})  # what a mutant records of another chain is not for later worlds
        mutant.apply(patch)
        kill = next((kill for seed in seeds if (kill := find_kill(mutant, seed)) is not None), None)
    return kill, time.monotonic() - start


def find_kill(mutant: Mutant, seed: int) -> Kill | None:
    """Run one world of the mutant's profile, with whatever is patched now, until it breaks one of its promises."""
    world = build_mutant_world(mutant.profile, seed)
    try:
        return _run(world, mutant)
    except FlockchainError as error:  # a node does not start from its own disk
        world.violations.append(Violation("standing", str(error)))
    return _read(world, mutant)


def build_mutant_world(profile: str, seed: int) -> World:
    """The world of a seed; `profile` may name an adversary after a plus."""
    return build_world(seed, GENESIS, _choose_plan(profile, seed))


def _run(world: World, mutant: Mutant) -> Kill | None:
    world.start()
    for _ in range(0, world.plan.faults_ms, _STEP_MS):
        world.advance(_STEP_MS)
        if (kill := _read(world, mutant)) is not None:
            return kill
    world.finish()
    return _read(world, mutant)


def _choose_plan(profile: str, seed: int) -> str | FaultPlan:
    name, plus, adversary = profile.partition("+")
    if not plus:
        return profile
    return replace(find_profile(name).draw(Random(seed), _NODES), adversary=adversary)


def _read(world: World, mutant: Mutant) -> Kill | None:
    found = (violation for violation in world.violations if violation.promise in mutant.promises)
    first = next(found, None)
    return None if first is None else Kill(first.promise, first.seen, world.seed)
