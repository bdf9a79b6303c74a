"""Which kinds of fate there are: one a file, and one line here.

An adversary's name is a profile too: a calm network with that adversary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flockchain.primitives.errors import InvalidInput
from flockchain.sim.adversaries import ADVERSARIES
from flockchain.sim.profiles import (
    calm,
    epoch,
    learning,
    lone_adversary,
    small_committee,
    swarm,
    sync,
    twins,
    uneven,
    wan,
)
from flockchain.sim.profiles.profile import Profile

__all__ = ["ALL", "PROFILES", "SHARED", "choose_profile", "find_profile"]

ALL: Final = "all"

PROFILES: Final[Mapping[str, Profile]] = {
    "calm": calm.PROFILE,
    "swarm": swarm.PROFILE,
    "twins": twins.PROFILE,
    "epoch": epoch.PROFILE,
    "sync": sync.PROFILE,
    "learning": learning.PROFILE,
    "small_committee": small_committee.PROFILE,
    "uneven": uneven.PROFILE,
    "wan": wan.PROFILE,
}
SHARED: Final = ("swarm", "twins", "epoch", "sync", "learning")  # those that take turns when all are asked for


def choose_profile(name: str, seed: int) -> str:
    """The profile of a seed's world: the named one, or with "all" one that the seed itself chooses."""
    return SHARED[seed % len(SHARED)] if name == ALL else name


def find_profile(name: str) -> Profile:
    """The profile of that name. Raises `InvalidInput` for an unknown one."""
    if name in PROFILES:
        return PROFILES[name]
    if name in ADVERSARIES:
        return lone_adversary.build_profile(name)
    known = ", ".join((ALL, *PROFILES, *sorted(ADVERSARIES)))
    raise InvalidInput("there is no such profile", profile=name, profiles=known)
