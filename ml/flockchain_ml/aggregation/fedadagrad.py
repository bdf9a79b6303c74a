"""FedAdagrad: entries of the model that moved much move less from then on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flockchain_ml.aggregation.adaptive import ADAPTIVE_CARD, ServerSettings, apply_adaptive_step
from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome, RuleCard

__all__ = ["FedAdagrad"]


@dataclass(frozen=True, slots=True)
class FedAdagrad:
    """v <- v + mean²."""

    name: ClassVar[str] = "fedadagrad"
    needs_scores: ClassVar[bool] = False
    card: ClassVar[RuleCard] = ADAPTIVE_CARD

    server_rate: float = 1e-3
    tau: float = 1e-3
    beta1: float = 0.9

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        settings = ServerSettings(self.server_rate, self.tau, self.beta1)
        return apply_adaptive_step(round, state, settings, lambda v, square: v + square)
