"""Kinds of fate for simulated worlds: one a file, and one line here.

An adversary's name is a profile too: a calm network with that adversary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flockchain.primitives.errors import InvalidInput
from flockchain.sim.adversaries import ADVERSARIES
from flockchain.sim.profiles import calm, learning, lone_adversary, swarm
from flockchain.sim.profiles.profile import Profile

__all__ = ["PROFILES", "Profile", "find_profile"]

PROFILES: Final[Mapping[str, Profile]] = {
    "calm": calm.PROFILE,
    "swarm": swarm.PROFILE,
    "learning": learning.PROFILE,
}


def find_profile(name: str) -> Profile:
    """The profile of that name. Raises `InvalidInput` for an unknown one."""
    if name in PROFILES:
        return PROFILES[name]
    if name in ADVERSARIES:
        return lone_adversary.build_profile(name)
    known = ", ".join((*PROFILES, *sorted(ADVERSARIES)))
    raise InvalidInput("there is no such profile", profile=name, profiles=known)
