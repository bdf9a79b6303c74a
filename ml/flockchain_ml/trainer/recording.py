"""What a trainer can report of its own training: the probe's scores of ΔB after every local step, and of a shadow run.

This is self-reported evidence (Safe-FedLLM, arXiv 2601.07177): a forger records a clean training and uploads another.
Knows probes and claims; no defence's memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from flockchain_ml.attacks import Report
from flockchain_ml.defences import Claim
from flockchain_ml.models import LoadedModel
from flockchain_ml.probes import LogisticProbe, compute_feature
from flockchain_ml.tensors import FloatArray
from flockchain_ml.trainer.order import TrainedUpdate, TrainOrder
from flockchain_ml.trainer.poisoning import build_shadow_order, find_active_attack
from flockchain_ml.trainer.training import train_updates

__all__ = [
    "SHADOW_LEARNING_RATE", "StepRecorder", "record_shadow", "record_shadows", "train_and_claim", "train_and_claim_all",
]  # fmt: skip

SHADOW_LEARNING_RATE: Final = 5e-5


@dataclass(slots=True)
class StepRecorder:
    """Collects the feature of every step; `modules` are those of the first layer. Hand it to `train_update`."""

    modules: tuple[str, ...]
    features: list[FloatArray] = field(default_factory=list)

    def record(self, deltas: Mapping[str, FloatArray]) -> None:
        """Take ΔB of `modules` after one more step, against where the training started."""
        self.features.append(compute_feature(deltas, self.modules))


def record_shadow(loaded: LoadedModel, order: TrainOrder, modules: tuple[str, ...]) -> tuple[FloatArray, ...]:
    """The features of the shadow run: from the initial adapter, over the rows that the trainer says it trains on."""
    return record_shadows(loaded, [order], modules)[0]


def record_shadows(
    loaded: LoadedModel, orders: Sequence[TrainOrder], modules: tuple[str, ...]
) -> list[tuple[FloatArray, ...]]:
    """The shadow runs of many trainers, done together."""
    shadows = [build_shadow_order(order) for order in orders]
    shadows = [replace(one, settings=replace(one.settings, learning_rate=SHADOW_LEARNING_RATE)) for one in shadows]
    recorders = [StepRecorder(modules) for _ in shadows]
    train_updates(loaded, shadows, recorders)
    return [tuple(recorder.features) for recorder in recorders]


def train_and_claim(
    loaded: LoadedModel, order: TrainOrder, probe: LogisticProbe, shadow_probe: LogisticProbe | None = None
) -> tuple[TrainedUpdate, Claim]:
    """The update, and what the trainer says of itself; with a shadow run if there is a probe for it.

    An attacker who forges reports records a training on its clean rows, which costs it one training more.
    """
    return train_and_claim_all(loaded, [order], probe, shadow_probe)[0]


def train_and_claim_all(
    loaded: LoadedModel, orders: Sequence[TrainOrder], probe: LogisticProbe, shadow_probe: LogisticProbe | None = None
) -> list[tuple[TrainedUpdate, Claim]]:
    """`train_and_claim` of many trainers, whose trainings are done together."""
    modules = tuple(module.name for module in probe.modules)
    recorders = [StepRecorder(modules) for _ in orders]
    forgers = [at for at, order in enumerate(orders) if _is_forging(order)]
    clean = [replace(orders[at], attack=None) for at in forgers]
    openly = [None if at in forgers else recorder for at, recorder in enumerate(recorders)]
    trained = train_updates(loaded, [*orders, *clean], [*openly, *(recorders[at] for at in forgers)])
    claims = [
        Claim(
            samples=order.settings.steps * order.settings.batch_rows,
            batch_rows=order.settings.batch_rows,
            step_scores=tuple(probe.score_feature(feature) for feature in recorder.features),
        )
        for order, recorder in zip(orders, recorders, strict=True)
    ]
    if shadow_probe is not None:
        shadows = record_shadows(loaded, orders, tuple(module.name for module in shadow_probe.modules))
        scores = [tuple(shadow_probe.score_feature(feature) for feature in features) for features in shadows]
        claims = [replace(claim, shadow_scores=own) for claim, own in zip(claims, scores, strict=True)]
    return list(zip(trained[: len(orders)], claims, strict=True))


def _is_forging(order: TrainOrder) -> bool:
    attack = find_active_attack(order)
    return attack is not None and attack.report is Report.CLEAN
