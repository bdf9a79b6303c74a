"""What a trainer is asked to do, and what it gives back. Plain values, so that a service can carry them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Protocol

from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain_ml.attacks import Attack
from flockchain_ml.rows import Row
from flockchain_ml.tensors import FloatArray

__all__ = ["OnStep", "OrderInvalid", "Recorder", "TrainOrder", "TrainSettings", "TrainedUpdate"]

OnStep = Callable[[int, float], None]  # (steps done, loss in nats)


class Recorder(Protocol):
    """Looks on while an update is trained. `modules`: whose ΔB it wants."""

    @property
    def modules(self) -> tuple[str, ...]: ...

    def record(self, deltas: Mapping[str, FloatArray]) -> None:
        """ΔB of `modules` after one more step, against where the training started, before any change of the upload."""
        ...


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

    @property
    def rate_sum(self) -> float:
        """The learning rates of all steps added up."""
        return self.learning_rate * (self.steps + 1) / 2


@dataclass(frozen=True, slots=True)
class TrainOrder:
    """One trainer's work in one round. `lineage`: the model's aggregates, oldest first; empty before the first.

    Attacks alone look at `trainers`, the number of the task's (0: unknown), and at `visible`, updates of this round.
    An aggregation rule may ask for two things. `proximal_mu`: the loss of every step gains mu/2 times the squared
    distance of the trained parameters from their start. `control`: every step moves B, by module, by -rate times this
    as well (FFA only).
    """

    spec: AdapterSpec
    lineage: tuple[bytes, ...]
    rows: tuple[Row, ...]
    round: int
    seed: int
    settings: TrainSettings = field(default_factory=TrainSettings)
    attack: Attack | None = None
    trainers: int = 0
    visible: tuple[bytes, ...] = ()
    proximal_mu: float | None = None
    control: Mapping[str, FloatArray] | None = None

    def __post_init__(self) -> None:
        if not self.rows:
            raise OrderInvalid("there are no rows to train on", round=self.round)
        if self.proximal_mu is not None and not (isfinite(self.proximal_mu) and self.proximal_mu >= 0):
            raise OrderInvalid("a proximal term is a finite number, not negative", proximal_mu=self.proximal_mu)
        if self.control is not None:
            _require_control(self.spec, self.control)


@dataclass(frozen=True, slots=True)
class TrainedUpdate:
    """The canonical bytes to submit, and the loss of every step in nats."""

    update: bytes
    losses: tuple[float, ...]


def _require_control(spec: AdapterSpec, control: Mapping[str, FloatArray]) -> None:
    if spec.mode is not AdapterMode.FFA:
        raise OrderInvalid("a control variate needs an A that all rounds share", mode=spec.mode.name)
    wanted = {module.name: (module.out_features, spec.rank) for module in spec.modules}
    got = {name: values.shape for name, values in control.items()}
    if got != wanted:
        raise OrderInvalid("a control variate has the shapes of B", wanted=len(wanted), got=len(got))
