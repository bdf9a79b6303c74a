"""FedProx: the mean of updates that were trained on a leash to the round's model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.aggregation.rule import ClientHook, RoundInput, RoundOutcome, RuleCard, Told
from flockchain_ml.aggregation.weighting import build_mean_outcome

__all__ = ["FedProx"]


@dataclass(frozen=True, slots=True)
class FedProx:
    """Trainers add `mu`/2 · |w - w_start|² over the LoRA parameters that they train; the mean is FedAvg's."""

    name: ClassVar[str] = "fedprox"
    needs_scores: ClassVar[bool] = False
    card: ClassVar[RuleCard] = RuleCard(
        paper="Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith: Federated optimization in heterogeneous networks "
        "(MLSys 2020)",
        weights="weight times rows is the update's share of the mean",
        told=frozenset({Told.SAMPLES}),
        asks="proximal term, mu",
        is_exact=True,
    )

    mu: float = 0.01

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        return build_mean_outcome(round, dict(enumerate(round.get_sample_weights()))), state

    def build_client_hook(self, spec: AdapterSpec, trainer: str, state: bytes) -> ClientHook:
        return ClientHook(proximal_mu=self.mu)
