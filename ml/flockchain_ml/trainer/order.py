"""What a trainer is asked to do, and what it gives back. Plain values, so that a service can carry them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.attacks import Attack
from flockchain_ml.rows import Row

__all__ = ["OnStep", "OrderInvalid", "TrainOrder", "TrainSettings", "TrainedUpdate"]

OnStep = Callable[[int, float], None]  # (steps done, loss in nats)


class OrderInvalid(InvalidInput):
    """A training order that cannot be carried out."""


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How to train: AdamW whose rate falls linearly to zero, whole passes over the rows in seeded orders."""

    steps: int = 80
    batch_rows: int = 16
    learning_rate: float = 6e-3
    weight_decay: float = 0.0
    gradient_norm_max: float = 1.0
    row_tokens_max: int = 0  # longer rows are cut; 0: a row that does not fit the model is refused

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_rows < 1:
            raise OrderInvalid("training takes at least one step of one row", steps=self.steps, rows=self.batch_rows)
        if self.row_tokens_max < 0 or self.row_tokens_max == 1:
            raise OrderInvalid("a row has at least two tokens, one to read and one to learn", got=self.row_tokens_max)
        if not 0 < self.learning_rate < 1 or self.weight_decay < 0 or self.gradient_norm_max <= 0:
            raise OrderInvalid("the settings of the optimiser are out of range", learning_rate=self.learning_rate)


@dataclass(frozen=True, slots=True)
class TrainOrder:
    """One trainer's work in one round. `lineage`: the model's aggregates, oldest first; empty before the first."""

    spec: AdapterSpec
    lineage: tuple[bytes, ...]
    rows: tuple[Row, ...]
    round: int
    seed: int
    settings: TrainSettings = field(default_factory=TrainSettings)
    attack: Attack | None = None

    def __post_init__(self) -> None:
        if not self.rows:
            raise OrderInvalid("there are no rows to train on", round=self.round)


@dataclass(frozen=True, slots=True)
class TrainedUpdate:
    """The canonical bytes to submit, and the loss of every step in nats."""

    update: bytes
    losses: tuple[float, ...]
