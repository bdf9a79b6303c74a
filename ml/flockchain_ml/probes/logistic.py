"""The logistic probe of Safe-FedLLM (arXiv 2601.07177): how much a ΔB looks like one that was trained on bad data.

A linear model in the coordinates of one task's adapter: its base, its layers, its A. Floats decide here, so its scores
are for experiments and for trainers, never for the exact tier. It is trained by `fitting` and kept by `probe_file`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from flockchain.primitives.errors import InvalidInput
from flockchain_ml.probes.features import FeatureInvalid, compute_feature
from flockchain_ml.tensors import FloatArray

__all__ = ["HARM_THRESHOLD", "LogisticProbe", "ProbeInvalid", "ProbeModule", "compute_sigmoid"]

HARM_THRESHOLD: Final = 0.8  # a score of at least this is harm


class ProbeInvalid(InvalidInput):
    """A probe that contradicts itself."""


@dataclass(frozen=True, slots=True)
class ProbeModule:
    """One module that the probe looks at: its ΔB is [out_features, rank]."""

    name: str
    out_features: int
    rank: int


@dataclass(frozen=True, slots=True, eq=False)
class LogisticProbe:
    """score = σ(weights · feature + bias). `modules` are ascending by name; one weight a value of their ΔB."""

    modules: tuple[ProbeModule, ...]
    weights: FloatArray
    bias: float
    threshold: float = HARM_THRESHOLD

    def __post_init__(self) -> None:
        names = [module.name for module in self.modules]
        if not names or names != sorted(set(names)):
            raise ProbeInvalid("a probe names its modules once, ascending", modules=",".join(names))
        values = sum(module.out_features * module.rank for module in self.modules)
        if self.weights.shape != (values,):
            raise ProbeInvalid("a probe has one weight a value", values=values, weights=self.weights.shape)
        if not 0 < self.threshold < 1 or not math.isfinite(self.bias) or not np.isfinite(self.weights).all():
            raise ProbeInvalid("a probe's numbers are finite and its threshold a share", threshold=self.threshold)

    def compute_score(self, deltas: Mapping[str, FloatArray]) -> float:
        """Between 0 and 1 from ΔB by module. Raises `FeatureInvalid` for modules that are not the probe's."""
        for module in self.modules:
            found = deltas.get(module.name)
            if found is None or found.shape != (module.out_features, module.rank):
                raise FeatureInvalid(
                    "ΔB is not of the probe's shape", module=module.name, wanted=(module.out_features, module.rank)
                )
        return self.score_feature(compute_feature(deltas, [module.name for module in self.modules]))

    def score_feature(self, feature: FloatArray) -> float:
        """As `compute_score`, of a feature that is already there."""
        return compute_sigmoid(float(self.weights.astype(np.float64) @ feature.astype(np.float64)) + self.bias)


def compute_sigmoid(value: float) -> float:
    """σ without overflow."""
    if value >= 0:
        return 1 / (1 + math.exp(-value))
    grown = math.exp(value)
    return grown / (1 + grown)
