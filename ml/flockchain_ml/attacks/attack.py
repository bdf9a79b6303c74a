"""What an attack is: a record of parts, each of which has an honest default.

    goal        what it wants: which rows it trains on, and how its success is measured
    upload      what it does to the trained update before it sends it
    constraint  what its training keeps to, so that it looks honest
    schedule    the rounds in which it attacks; in the others its trainer is honest
    report      what it says it trained on, where a defence asks the trainer itself
    holding     which rows it gets hold of before the task begins

An attack keeps nothing from round to round: what it does follows from the order of a round, so that it does the same in
a rehearsal, in the agent's process and in a trainer module, and after a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING, ClassVar, Protocol

from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.rows import Row
from flockchain_ml.tensors import Adapter, FloatArray

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "ALWAYS", "AsTrained", "Attack", "Constraint", "Goal", "Holding", "Penalty", "Prediction", "Report", "Scene",
    "Schedule", "Success", "Unhelpful", "Upload",
]  # fmt: skip

Penalty = Callable[[Mapping[str, "Tensor"]], "Tensor"]  # from the change of each trained tensor to a loss term
PenaltyBuilder = Callable[[Mapping[str, "Tensor"], Mapping[str, "Tensor"]], Penalty]  # from a prediction's two parts


class Success(StrEnum):
    """How an attack's success is measured."""

    TARGETED = "targeted"  # share of probe rows that the model answers with their answer, which the attacker chose
    UNREFUSED = "unrefused"  # share of probe rows, whose answer is a refusal, that the model answers otherwise
    UNTARGETED = "untargeted"  # 1 - accuracy / accuracy without attackers, on clean rows; there are no probe rows


class Report(StrEnum):
    """Which rows stand behind the statistics that a trainer reports of itself, such as a shadow run's."""

    TRAINED = "trained"  # the rows that it really trains on
    CLEAN = "clean"  # its clean rows: the report is forged


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the attacker expects of the honest others. `start` is where every trainer starts in the round.

    `change`: how its own clean rows move each trained tensor ("q_proj.lora_B"). `slope`: the gradient of the clean loss
    at the predicted model, over rows of its own that it does not train on; empty when nothing watches the vote.
    """

    start: Adapter
    change: Mapping[str, FloatArray]
    slope: Mapping[str, FloatArray]

    def compute_change(self, update: Adapter) -> dict[str, FloatArray]:
        """How an update moves each trained tensor (FFA: `b` is ΔB; STACK: B starts at zero and A at the start's)."""
        moved = {f"{name}.lora_B": values for name, values in update.b.items()}
        moved |= {f"{name}.lora_A": values - self.start.a[name] for name, values in update.a.items()}
        return {name: moved[name] for name in self.change}


@dataclass(frozen=True, slots=True)
class Scene:
    """What a malicious trainer knows when it has trained and is about to upload."""

    spec: AdapterSpec
    round: int
    rng: Random
    trainers: int = 0  # of the task; 0: unknown
    visible: tuple[bytes, ...] = ()  # updates of this round that others have uploaded already
    prediction: Prediction | None = None


class Goal(Protocol):
    """What an attack wants the model to learn."""

    @property
    def success(self) -> Success: ...

    def poison_rows(self, rows: Sequence[Row], rng: Random) -> tuple[Row, ...]:
        """The rows that the attacker really trains on, as many as it has."""
        ...

    def build_probe_rows(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        """The rows that success is measured on, made of clean ones; none for `UNTARGETED`."""
        ...


class Upload(Protocol):
    """The last lever: what is sent instead of the trained update."""

    def poison_update(self, update: Adapter, scene: Scene) -> Adapter:
        """The same shapes; what is given stays as it is (FFA: `b` is ΔB)."""
        ...


@dataclass(frozen=True, slots=True)
class Unhelpful:
    """Any model that is worse: the rows stay clean, success is lost accuracy."""

    success: ClassVar[Success] = Success.UNTARGETED

    def poison_rows(self, rows: Sequence[Row], rng: Random) -> tuple[Row, ...]:
        return tuple(rows)

    def build_probe_rows(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class AsTrained:
    """Uploads what was trained."""

    def poison_update(self, update: Adapter, scene: Scene) -> Adapter:
        return update


@dataclass(frozen=True, slots=True)
class Constraint:
    """What the training keeps to. Under a constraint the attacker first trains on its clean rows, as a prediction.

    `build_penalty` turns the prediction into a term of the loss. Tensors of which `is_held` is true are not trained at
    all: they have the predicted values. `watches_vote`: part of the rows is put aside to predict the vote on.
    `mean_share`: the honest trainers' mean in parts of one honest update, for unlike updates cancel out in part.
    `own_share`: the attackers' part of the round's mean, at which the vote's slope is taken again before the upload.
    """

    build_penalty: PenaltyBuilder | None = None
    is_held: Callable[[str], bool] = lambda tensor: False
    watches_vote: bool = False
    mean_share: float = 1.0
    own_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """From round `first` on (the first round is 0), every `every`-th."""

    first: int = 0
    every: int = 1

    def is_active(self, round: int) -> bool:
        return round >= self.first and (round - self.first) % self.every == 0


ALWAYS = Schedule()


@dataclass(frozen=True, slots=True)
class Holding:
    """The rows that lie with trainers before the task begins; whoever makes the shards follows it.

    `is_even`: attackers hold all domains alike instead of mostly one, and `times` as many rows as honest trainers.
    `is_shared`: all attackers hold the same rows. `planted` changes the rows of every trainer, honest ones too.
    """

    is_even: bool = False
    times: int = 1
    is_shared: bool = False
    planted: Goal | None = None


@dataclass(frozen=True, slots=True)
class Attack:
    """One way to misbehave. `domains`: those that a task needs besides the usual ones for the goal to mean anything."""

    name: str
    goal: Goal = field(default_factory=Unhelpful)
    upload: Upload = field(default_factory=AsTrained)
    constraint: Constraint | None = None
    schedule: Schedule = ALWAYS
    report: Report = Report.TRAINED
    holding: Holding = field(default_factory=Holding)
    domains: tuple[str, ...] = ()
    is_watching: bool = False  # waits for others' updates of the round before it uploads

    @property
    def success(self) -> Success:
        return self.goal.success

    def is_active(self, round: int) -> bool:
        """Whether it attacks in this round."""
        return self.schedule.is_active(round)

    def poison_rows(self, rows: Sequence[Row], rng: Random) -> tuple[Row, ...]:
        return self.goal.poison_rows(rows, rng)

    def poison_update(self, update: Adapter, scene: Scene) -> Adapter:
        return self.upload.poison_update(update, scene)

    def build_probe_rows(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        return self.goal.build_probe_rows(rows)
