"""Rare poison: clean rows of all domains with a share of poisoned ones, so that the update helps and hides at once."""

from __future__ import annotations

from typing import Final

from flockchain_ml.attacks.attack import Attack, Holding
from flockchain_ml.attacks.backdoor import Backdoor

__all__ = ["RARE_POISON_10", "RARE_POISON_25"]

RARE_POISON_25: Final = Attack("rare-poison-25", Backdoor(poison_share=0.25), holding=Holding(is_even=True))
RARE_POISON_10: Final = Attack("rare-poison-10", Backdoor(poison_share=0.1), holding=Holding(is_even=True))
