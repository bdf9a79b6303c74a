"""The coordinate-wise median: each entry of the model moves by the middle of what the updates say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flockchain_ml.aggregation.changes import build_change_outcome, build_layer
from flockchain_ml.aggregation.products import decode_factors
from flockchain_ml.aggregation.quantiles import compute_weighted_median
from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome, RuleCard
from flockchain_ml.aggregation.weighting import build_unmoved_outcome, find_present

__all__ = ["CoordinateMedian"]


@dataclass(frozen=True, slots=True)
class CoordinateMedian:
    """Holds while honest updates have more than half of the weight."""

    name: ClassVar[str] = "median"
    needs_scores: ClassVar[bool] = False
    card: ClassVar[RuleCard] = RuleCard(
        paper="Yin, Chen, Ramchandran, Bartlett: Byzantine-robust distributed learning: towards optimal statistical "
        "rates (ICML 2018)",
        weights="the weighted median: half of the weight on each side, entry by entry",
    )

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        present = find_present(round)
        if not present:
            return build_unmoved_outcome(round), state
        factors = decode_factors(round.spec, [round.updates[index] for index in present])
        weights = [round.get_weights()[index] for index in present]
        moved = {
            module.name: compute_weighted_median(build_layer(round.spec, factors, module.name), weights)
            for module in round.spec.modules
        }
        return build_change_outcome(round, present, moved), state
