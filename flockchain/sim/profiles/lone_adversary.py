"""A calm network with one adversary of a given name."""

from __future__ import annotations

from flockchain.sim.plan import FaultPlan
from flockchain.sim.profiles.profile import Profile

__all__ = ["build_profile"]


def build_profile(name: str) -> Profile:
    """The profile of the adversary `name`."""
    return Profile(
        f"a calm network with one {name}",
        lambda rng, nodes: FaultPlan(25_000, byzantine=rng.randrange(nodes), adversary=name),
    )
