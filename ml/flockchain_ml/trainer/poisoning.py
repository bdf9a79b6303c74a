"""A malicious trainer's round: predict the honest update, train the poison under its constraint, change the upload.

Knows attacks as records of parts. Knows no optimiser: a plan says which trainings it needs and somebody does them,
perhaps with those of others. An honest round never comes here.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Final, Protocol

import numpy as np
import torch

from flockchain.primitives.learning import AdapterMode
from flockchain_ml.attacks import Attack, Constraint, Penalty, Prediction, Report, Scene, fit_to_wire
from flockchain_ml.data import compute_seed
from flockchain_ml.rows import Row
from flockchain_ml.tensors import Adapter, FloatArray
from flockchain_ml.trainer.order import TrainOrder

__all__ = ["Bend", "Plan", "Run", "Trained", "Training", "build_shadow_order", "find_active_attack", "plan_poisoned"]

_WATCHED_ONE_IN: Final = 2


@dataclass(frozen=True, slots=True)
class Bend:
    """How an attack bends a training. `held` have these changes from the start on and are not trained."""

    held: Mapping[str, FloatArray]
    penalty: Penalty | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One training that an order needs, on these rows. A prediction is an honest one that nobody uploads."""

    rows: tuple[Row, ...]
    bend: Bend
    is_prediction: bool = False


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run gave (FFA: `b` is ΔB), and the loss of every step in nats."""

    update: Adapter
    losses: tuple[float, ...]


Plan = Generator[Run, Trained, Trained]  # asks for one run after the other and ends with what is uploaded


class Training(Protocol):
    """What an attack needs of the trainer besides runs, for one order."""

    @property
    def start(self) -> Adapter: ...

    @property
    def device(self) -> str: ...

    def compute_slope(self, rows: tuple[Row, ...], change: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """The gradient of these rows' mean loss with this change made, by trained tensor."""
        ...


def find_active_attack(order: TrainOrder) -> Attack | None:
    """The order's attack if it attacks in this round."""
    attack = order.attack
    return attack if attack is not None and attack.is_active(order.round) else None


def plan_poisoned(order: TrainOrder, attack: Attack, training: Training) -> Plan:
    """The runs of an attacker's round; ends with what it uploads and the losses of the training behind it."""
    rows = order.rows
    watched: tuple[Row, ...] = ()
    prediction, bend = None, Bend({})
    constraint = attack.constraint
    if constraint is not None:
        if constraint.watches_vote:
            watched, rows = _put_aside(rows)
        honest = yield Run(rows, Bend({}), is_prediction=True)
        moved = _compute_change(order, training.start, honest.update)
        change = {name: values * np.float32(constraint.mean_share) for name, values in moved.items()}
        prediction = Prediction(training.start, change, training.compute_slope(watched, change) if watched else {})
        bend = _build_bend(constraint, prediction, training.device)
    poisoned = attack.poison_rows(rows, Random(compute_seed(order.seed, "poison")))
    trained = yield Run(poisoned, bend)
    if constraint is not None and prediction is not None and watched:
        prediction = _predict_again(training, prediction, trained.update, watched, constraint.own_share)
    scene = Scene(
        order.spec, order.round, Random(compute_seed(order.seed, "upload")), order.trainers, order.visible, prediction
    )
    return replace(trained, update=fit_to_wire(attack.poison_update(trained.update, scene), order.spec))


def build_shadow_order(order: TrainOrder) -> TrainOrder:
    """The run that a trainer reports of itself: from the first start, over the rows that it says it trains on.

    An honest trainer's are its rows; a forger's are its clean ones whatever it uploads.
    """
    attack, rows = find_active_attack(order), order.rows
    if attack is not None and attack.report is Report.TRAINED:
        rows = attack.poison_rows(rows, Random(compute_seed(order.seed, "poison")))
    return replace(order, rows=rows, lineage=(), round=0, attack=None)


def _compute_change(order: TrainOrder, start: Adapter, update: Adapter) -> dict[str, FloatArray]:
    """How a training moved each trained tensor. B starts at zero, or the update holds ΔB."""
    change = {f"{name}.lora_B": values for name, values in update.b.items()}
    if order.spec.mode is AdapterMode.STACK:
        change |= {f"{name}.lora_A": values - start.a[name] for name, values in update.a.items()}
    return change


def _put_aside(rows: tuple[Row, ...]) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Rows to predict the vote on, as many of every domain, and the rest to train on."""
    by_domain: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        by_domain.setdefault(row.domain, []).append(index)
    each = min(max(1, len(indexes) // _WATCHED_ONE_IN) for indexes in by_domain.values())
    watched = {index for indexes in by_domain.values() for index in indexes[:each]}
    rest = tuple(row for index, row in enumerate(rows) if index not in watched)
    return tuple(rows[index] for index in sorted(watched)), rest or rows


def _predict_again(
    training: Training, prediction: Prediction, update: Adapter, watched: tuple[Row, ...], own_share: float
) -> Prediction:
    """The same prediction with the slope of the model in which the poison has its part."""
    own = prediction.compute_change(update)
    mixed = {
        name: values * np.float32(1 - own_share) + own[name] * np.float32(own_share)
        for name, values in prediction.change.items()
    }
    return replace(prediction, slope=training.compute_slope(watched, mixed))


def _build_bend(constraint: Constraint, prediction: Prediction, device: str) -> Bend:
    held = {name: values for name, values in prediction.change.items() if constraint.is_held(name)}
    if constraint.build_penalty is None:
        return Bend(held)
    change, slope = (
        {name: torch.from_numpy(values).to(device) for name, values in part.items()}
        for part in (prediction.change, prediction.slope)
    )
    return Bend(held, constraint.build_penalty(change, slope))
