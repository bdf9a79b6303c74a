"""Logistic probes of a task's adapter with drawn weights, for tests that need one and not a good one."""

from __future__ import annotations

import numpy as np

from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.experiments.probe_training import build_probe_modules
from flockchain_ml.probes import LogisticProbe

__all__ = ["build_logistic_probe"]


def build_logistic_probe(spec: AdapterSpec, seed: int = 3, bias: float = 0.0) -> LogisticProbe:
    """Over ΔB of the first layer's modules. A bias of -50 finds nothing harmful, one of 50 everything."""
    modules = build_probe_modules(spec)
    values = sum(module.out_features * module.rank for module in modules)
    return LogisticProbe(modules, np.random.default_rng(seed).normal(size=values).astype(np.float32), bias)
