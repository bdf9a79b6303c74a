"""Sleepers: honest until they have a reputation, or honest in all rounds but every fifth."""

from __future__ import annotations

from typing import Final

from flockchain_ml.attacks.attack import Attack, Schedule
from flockchain_ml.attacks.backdoor import Backdoor, Boosted

__all__ = ["EVERY_FIFTH_ROUND", "SLEEPER"]

SLEEPER: Final = Attack("sleeper", Backdoor(poison_share=0.8), Boosted(), schedule=Schedule(first=3))
EVERY_FIFTH_ROUND: Final = Attack(
    "every-fifth-round", Backdoor(poison_share=0.8), Boosted(), schedule=Schedule(first=4, every=5)
)
