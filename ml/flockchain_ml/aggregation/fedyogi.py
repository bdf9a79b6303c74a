"""FedYogi: a second moment that grows and falls by bounded steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from flockchain_ml.aggregation.adaptive import ADAPTIVE_CARD, ServerSettings, apply_adaptive_step
from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome, RuleCard

__all__ = ["FedYogi"]


@dataclass(frozen=True, slots=True)
class FedYogi:
    """v <- v - (1 - beta2) · mean² · sign(v - mean²)."""

    name: ClassVar[str] = "fedyogi"
    needs_scores: ClassVar[bool] = False
    card: ClassVar[RuleCard] = ADAPTIVE_CARD

    server_rate: float = 1e-3
    tau: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.99

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        settings = ServerSettings(self.server_rate, self.tau, self.beta1)
        return apply_adaptive_step(
            round, state, settings, lambda v, square: v - (1 - self.beta2) * square * np.sign(v - square)
        )
