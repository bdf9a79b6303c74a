"""The trimmed mean: entry by entry, the lowest and the highest values are cut before the mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from flockchain_ml.aggregation.changes import build_change_outcome, build_layer
from flockchain_ml.aggregation.products import Matrix, decode_factors
from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome, RuleCard
from flockchain_ml.aggregation.weighting import build_unmoved_outcome, find_present

__all__ = ["TrimmedMean"]


@dataclass(frozen=True, slots=True)
class TrimmedMean:
    """Cuts `cut` values per end, or as many as leave one or two of a small round. Holds against `cut` attackers."""

    name: ClassVar[str] = "trimmed-mean"
    needs_scores: ClassVar[bool] = False
    card: ClassVar[RuleCard] = RuleCard(
        paper="Yin, Chen, Ramchandran, Bartlett: Byzantine-robust distributed learning: towards optimal statistical "
        "rates (ICML 2018)",
        weights="cuts by number of updates, whatever they weigh; the mean of what is left is weighted",
    )

    cut: int = 1

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        present = find_present(round)
        if not present:
            return build_unmoved_outcome(round), state
        factors = decode_factors(round.spec, [round.updates[index] for index in present])
        weights = [round.get_weights()[index] for index in present]
        moved = {
            module.name: _compute_trimmed_mean(build_layer(round.spec, factors, module.name), weights, self.cut)
            for module in round.spec.modules
        }
        return build_change_outcome(round, present, moved), state


def _compute_trimmed_mean(values: Matrix, weights: Sequence[float], cut: int) -> Matrix:
    least = min(cut, (len(values) - 1) // 2)
    order = np.argsort(values, axis=0, kind="stable")[least : len(values) - least]
    kept, shares = np.take_along_axis(values, order, axis=0), np.array(weights)[order]
    return np.asarray((kept * shares).sum(axis=0) / shares.sum(axis=0))
