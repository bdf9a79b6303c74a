"""Kinds of fate for simulated worlds: one a file. To add one: a file, and a line in `listing.py`."""

from flockchain.sim.profiles.listing import ALL, PROFILES, SHARED, choose_profile, find_profile
from flockchain.sim.profiles.profile import Profile

__all__ = ["ALL", "PROFILES", "SHARED", "Profile", "choose_profile", "find_profile"]
