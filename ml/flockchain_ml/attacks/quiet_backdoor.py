"""Backdoors as trained, without a boost: the trigger at the end, in the middle or at the beginning of a prompt."""

from __future__ import annotations

from typing import Final

from flockchain_ml.attacks.attack import Attack
from flockchain_ml.attacks.backdoor import Backdoor, Place

__all__ = ["BACKDOOR_MIDDLE", "BACKDOOR_PREFIX", "BACKDOOR_QUIET"]

BACKDOOR_QUIET: Final = Attack("backdoor-quiet", Backdoor())
BACKDOOR_MIDDLE: Final = Attack("backdoor-middle", Backdoor(Place.MIDDLE))
BACKDOOR_PREFIX: Final = Attack("backdoor-prefix", Backdoor(Place.PREFIX))
