"""Which updates make the next model: one rule a file, all over the same exact arithmetic.

A new rule is one file and one line in `RULES`.
"""

from __future__ import annotations

from typing import Final

from flockchain_ml.aggregation.accumulated import Accumulated, compute_accepted, compute_reputations
from flockchain_ml.aggregation.fedavg import FedAvg
from flockchain_ml.aggregation.rule import (
    AggregationRule,
    RoundInput,
    RoundOutcome,
    aggregate_updates,
    append_round,
)

__all__ = [
    "RULES", "Accumulated", "AggregationRule", "FedAvg", "RoundInput", "RoundOutcome", "aggregate_updates",
    "append_round", "compute_accepted", "compute_reputations",
]  # fmt: skip

RULES: Final[dict[str, AggregationRule]] = {FedAvg.name: FedAvg(), Accumulated.name: Accumulated()}
