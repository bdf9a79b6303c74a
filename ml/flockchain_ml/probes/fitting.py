"""Fit a probe to labelled examples by logistic regression. The only part of the probes that needs torch.

The optimiser, its constants and the early stop are those of Safe-FedLLM (arXiv 2601.07177 and its published code):
AdamW at 0.01 with weight decay 2.0, at most 100 epochs in batches of 256, a tenth held out, stop after 15 epochs
without a better held-out loss, classes weighted alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from flockchain.primitives.errors import InvalidInput
from flockchain_ml.probes.integer_probe import WEIGHT_ABS_MAX, IntegerProbe, clamp_statistic
from flockchain_ml.probes.logistic import LogisticProbe, ProbeModule
from flockchain_ml.probes.probe import PARTS
from flockchain_ml.tensors import FloatArray

__all__ = ["WEIGHT_PARTS", "FitInvalid", "FitSettings", "fit_integer_probe", "fit_logistic_probe"]

WEIGHT_PARTS: Final = 1 << 16
_BETTER_BY: Final = 1e-4
_INTEGER_DECAY: Final = 0.05  # few standardised columns need less than thousands of raw ones


class FitInvalid(InvalidInput):
    """Examples from which nothing can be learnt."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Safe-FedLLM's constants."""

    learning_rate: float = 0.01
    weight_decay: float = 2.0
    epochs_max: int = 100
    batch_rows: int = 256
    patience_epochs: int = 15
    held_out_share: float = 0.1
    gradient_norm_max: float = 0.5
    seed: int = 0


def fit_logistic_probe(
    modules: tuple[ProbeModule, ...],
    features: Sequence[FloatArray],
    labels: Sequence[bool],
    settings: FitSettings | None = None,
) -> LogisticProbe:
    """A probe of ΔB directions; `features` as `compute_feature` gives them. The same seed gives the same probe."""
    table = np.stack(features).astype(np.float32) if len(features) else np.zeros((0, 0), np.float32)
    weights, bias = _fit(table, labels, settings or FitSettings())
    return LogisticProbe(modules, weights.astype(np.float32), bias)


def fit_integer_probe(
    statistics: tuple[str, ...],
    rows: Sequence[Sequence[int]],
    labels: Sequence[bool],
    *,
    false_alarms_percent: int = 5,
    settings: FitSettings | None = None,
) -> IntegerProbe:
    """A probe of integer statistics, fitted in floats on standardised columns and rounded to fixed point once.

    The threshold is an integer of the rounded model: the lowest that flags at most that share of the benign examples.
    """
    clamped = np.array([[clamp_statistic(value) for value in row] for row in rows], np.float64)
    clamped = clamped.reshape(len(rows), len(statistics))
    mean, spread = (clamped.mean(0), clamped.std(0)) if len(rows) else (np.zeros(1), np.ones(1))
    spread[spread == 0] = 1.0
    chosen = settings or replace(FitSettings(), weight_decay=_INTEGER_DECAY)
    scaled, bias = _fit(((clamped - mean) / spread).astype(np.float32), labels, chosen)
    slopes = scaled * PARTS / spread
    weights = tuple(max(-WEIGHT_ABS_MAX, min(WEIGHT_ABS_MAX, round(float(slope) * WEIGHT_PARTS))) for slope in slopes)
    shift = bias - float((scaled * mean / spread).sum())
    probe = IntegerProbe(statistics, weights, round(shift * WEIGHT_PARTS * PARTS), 0)
    benign = sorted(probe.judge_statistics(row).margin for row, label in zip(rows, labels, strict=True) if not label)
    allowed = false_alarms_percent * len(benign) // 100
    return replace(probe, threshold=benign[len(benign) - 1 - allowed] + 1)


def _fit(
    features: NDArray[np.float32], labels: Sequence[bool], settings: FitSettings
) -> tuple[NDArray[np.float64], float]:
    """Weights and bias of the epoch with the lowest held-out loss."""
    if len(labels) != len(features) or not 0 < sum(labels) < len(labels):
        raise FitInvalid("a probe is fitted to examples of both kinds", examples=len(labels), malicious=sum(labels))
    inputs, targets = torch.from_numpy(features), torch.tensor([float(label) for label in labels])
    train, held_out = _deal(labels, settings)
    positive = targets[train].sum()
    balance = (len(train) - positive) / positive
    weights = torch.zeros(features.shape[1], requires_grad=True)
    bias = torch.zeros((), requires_grad=True)
    optimiser = torch.optim.AdamW([weights, bias], lr=settings.learning_rate, weight_decay=settings.weight_decay)

    def compute_loss(rows: Sequence[int]) -> Tensor:
        logits = inputs[rows] @ weights + bias
        return functional.binary_cross_entropy_with_logits(logits, targets[rows], pos_weight=balance)

    rng = Random(settings.seed)
    lowest, best, waited = float("inf"), (weights.detach().clone(), bias.detach().clone()), 0
    for _ in range(settings.epochs_max):
        order = rng.sample(train, len(train))
        for start in range(0, len(order), settings.batch_rows):
            optimiser.zero_grad(set_to_none=True)
            compute_loss(order[start : start + settings.batch_rows]).backward()
            torch.nn.utils.clip_grad_norm_([weights, bias], settings.gradient_norm_max)
            optimiser.step()
        with torch.no_grad():
            loss = float(compute_loss(held_out))
        if loss < lowest - _BETTER_BY:
            lowest, best, waited = loss, (weights.detach().clone(), bias.detach().clone()), 0
        else:
            waited += 1
            if waited >= settings.patience_epochs:
                break
    return best[0].double().numpy(), float(best[1])


def _deal(labels: Sequence[bool], settings: FitSettings) -> tuple[list[int], list[int]]:
    """Positions to fit and to hold out: the share of either kind, at least one of each where there are two."""
    rng = Random(settings.seed)
    train: list[int] = []
    held_out: list[int] = []
    for kind in (False, True):
        places = [index for index, label in enumerate(labels) if bool(label) is kind]
        rng.shuffle(places)
        count = max(1, round(settings.held_out_share * len(places))) if len(places) > 1 else 0
        held_out += places[:count]
        train += places[count:]
    return sorted(train), sorted(held_out) or sorted(train)
