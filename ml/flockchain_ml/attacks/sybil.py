"""Sybils: one attacker behind several trainers, with one data set and batches of their own (Fung et al., 2020)."""

from __future__ import annotations

from typing import Final

from flockchain_ml.attacks.attack import Attack, Holding
from flockchain_ml.attacks.backdoor import Backdoor

__all__ = ["SYBIL"]

SYBIL: Final = Attack("sybil", Backdoor(), holding=Holding(is_shared=True))
