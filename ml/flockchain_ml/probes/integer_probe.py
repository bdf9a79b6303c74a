"""Our own probe: a fixed-point logistic regression over exact statistics of a round. Advisory only.

    margin = Σ weight · clamp(statistic) + bias          suspect if margin >= threshold

Statistics are in parts of 1024 and weights in parts of 65536, so 2**26 of margin are one unit of a logistic model's
exponent. There is no sigmoid, for it would change no verdict. Python integers throughout: a statistic is clamped to
2**15 - 1 and a weight is under 2**31, so sixteen of them stay under 2**50. A probe is known by its file's digest.
It asks for a closer look and never rejects: who stays near the predicted aggregate passes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flockchain_ml.probes.logistic import ProbeInvalid
from flockchain_ml.probes.probe import IntegerTensors
from flockchain_ml.probes.table import PROBES

__all__ = [
    "MARGIN_ABS_MAX", "STATISTICS_MAX", "STATISTIC_ABS_MAX", "WEIGHT_ABS_MAX", "IntegerProbe", "Judgement",
    "clamp_statistic", "compute_statistics_table",
]  # fmt: skip

STATISTIC_ABS_MAX: Final = 2**15 - 1
WEIGHT_ABS_MAX: Final = 2**31 - 1
STATISTICS_MAX: Final = 16
MARGIN_ABS_MAX: Final = 2**62 - 1  # of bias and threshold


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the probe says of one update. The margin says how far it is from the threshold, positive is suspect."""

    margin: int
    is_suspect: bool


@dataclass(frozen=True, slots=True)
class IntegerProbe:
    """Names of statistics in `PROBES`, a weight (parts of 65536) for each, and the margin that makes a suspect."""

    statistics: tuple[str, ...]
    weights: tuple[int, ...]
    bias: int
    threshold: int

    def __post_init__(self) -> None:
        unknown = [name for name in self.statistics if name not in PROBES]
        if unknown or not self.statistics or len(set(self.statistics)) != len(self.statistics):
            raise ProbeInvalid("a probe names known statistics, each once", unknown=",".join(unknown))
        if len(self.statistics) > STATISTICS_MAX or len(self.weights) != len(self.statistics):
            raise ProbeInvalid("a probe has one weight a statistic", weights=len(self.weights))
        if any(abs(weight) > WEIGHT_ABS_MAX for weight in self.weights):
            raise ProbeInvalid("a weight is out of range", most=WEIGHT_ABS_MAX)
        if abs(self.bias) > MARGIN_ABS_MAX or abs(self.threshold) > MARGIN_ABS_MAX:
            raise ProbeInvalid("bias or threshold is out of range", bias=self.bias, threshold=self.threshold)

    def judge_updates(self, updates: Sequence[IntegerTensors]) -> tuple[Judgement, ...]:
        """One judgement an update, the same on every machine, in the updates' order."""
        return tuple(self.judge_statistics(row) for row in compute_statistics_table(updates, self.statistics))

    def judge_statistics(self, row: Sequence[int]) -> Judgement:
        """As `judge_updates`, for one update whose statistics are already there."""
        weighed = sum(weight * clamp_statistic(value) for weight, value in zip(self.weights, row, strict=True))
        margin = weighed + self.bias - self.threshold
        return Judgement(margin, margin >= 0)


def compute_statistics_table(updates: Sequence[IntegerTensors], names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """One row an update, one column a statistic."""
    columns = [PROBES[name].compute_statistics(updates) for name in names]
    return tuple(zip(*columns, strict=True))


def clamp_statistic(value: int) -> int:
    """A statistic within the range that the probe's bounds are made for."""
    return max(-STATISTIC_ABS_MAX, min(STATISTIC_ABS_MAX, value))
