"""Nothing goes wrong."""

from __future__ import annotations

from flockchain.sim.plan import build_calm_plan
from flockchain.sim.profiles.profile import Profile

__all__ = ["PROFILE"]

PROFILE = Profile("nothing goes wrong", lambda _rng, _nodes: build_calm_plan(2_000))
