"""Norm clipping around any rule: an update larger than the bound is scaled down to it, then the rule sees the round.

The scaled update is an update again, int16 at the task's scales, so every rule can stand behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flockchain.exact import decode_update, encode_update
from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.aggregation.fedavg import FedAvg
from flockchain_ml.aggregation.products import compute_norms, decode_factors
from flockchain_ml.aggregation.quantiles import compute_weighted_median
from flockchain_ml.aggregation.rule import (
    AggregationRule,
    ClientHook,
    RoundInput,
    RoundOutcome,
    RuleCard,
    build_client_hook,
)
from flockchain_ml.aggregation.weighting import find_present

__all__ = ["NormClip"]


@dataclass(frozen=True, slots=True)
class NormClip:
    """`bound` on the norm of an update's products; None: the round's weighted median norm."""

    inner: AggregationRule = field(default_factory=FedAvg)
    bound: float | None = None

    @property
    def name(self) -> str:
        return f"clipped-{self.inner.name}"

    @property
    def needs_scores(self) -> bool:
        return self.inner.needs_scores

    @property
    def card(self) -> RuleCard:
        card = self.inner.card
        clipping = "Sun, Kairouz, Suresh, McMahan: Can you really backdoor federated learning? (arXiv 1911.07963, 2019)"
        paper = f"{clipping}, around {card.paper}"
        weights = f"the median norm is weighted; then {card.weights}"
        return replace(card, paper=paper, weights=weights, is_exact=False)

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        present = find_present(round)
        if not present:
            return self.inner.aggregate(round, state)
        norms = compute_norms(round.spec, decode_factors(round.spec, [round.updates[index] for index in present]))
        bound = self.bound
        if bound is None:
            bound = float(compute_weighted_median(norms, [round.get_weights()[index] for index in present]))
        updates = list(round.updates)
        for index, norm in zip(present, norms.tolist(), strict=True):
            if norm > bound:
                updates[index] = _scale_update(round.spec, updates[index], bound / norm)
        return self.inner.aggregate(replace(round, updates=tuple(updates)), state)

    def build_client_hook(self, spec: AdapterSpec, trainer: str, state: bytes) -> ClientHook:
        return build_client_hook(self.inner, spec, trainer, state)


def _scale_update(spec: AdapterSpec, update: bytes, factor: float) -> bytes:
    """B times `factor`, rounded to the wire's integers; A stays."""
    tensors: dict[str, NDArray[Any]] = dict(decode_update(update, spec))
    for module in spec.modules:
        name = f"{module.name}.lora_B"
        tensors[name] = np.rint(tensors[name] * factor).astype(np.int16)
    return encode_update(tensors, spec)
