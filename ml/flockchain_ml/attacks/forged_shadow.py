"""Forged shadow run: uploads a poisoned update and reports a shadow run over clean rows (against Safe-FedLLM)."""

from __future__ import annotations

from typing import Final

from flockchain_ml.attacks.attack import Attack, Report
from flockchain_ml.attacks.backdoor import Backdoor

__all__ = ["FORGED_SHADOW"]

FORGED_SHADOW: Final = Attack("forged-shadow", Backdoor(), report=Report.CLEAN)
