"""What an aggregation rule is: from a round's updates, and what it is told of them, to what the model becomes.

A rule is a pure function (round, state) -> (outcome, state). State is bytes, b"" before the first round; what a rule
asks of its trainers follows from the state too. Rules know no chain, no training and no attack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import isfinite
from typing import Protocol, runtime_checkable

from flockchain.exact import compute_aggregate
from flockchain.primitives.errors import InvalidInput, invariant
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain_ml.tensors import FloatArray

__all__ = [
    "NO_HOOK", "AggregationRule", "AsksTrainers", "ClientHook", "RoundInput", "RoundOutcome", "RuleCard", "RuleUnfit",
    "Told", "aggregate_updates", "append_round", "build_client_hook",
]  # fmt: skip


class RuleUnfit(InvalidInput):
    """A round that this rule cannot work on."""


class Told(Enum):
    """What a rule looks at besides the updates and the defence weights. The value is how a table says it."""

    SAMPLES = "rows per trainer"
    SCORES = "scores"
    ATTACKERS = "number of attackers"
    TRAINERS = "who sent which update"
    RATE_SUM = "sum of the trainers' learning rates"


@dataclass(frozen=True, slots=True)
class RuleCard:
    """What there is to know of a rule before one uses it.

    `weights`: how defence weights act. `state`, `asks`: what it keeps from round to round and what it asks of
    trainers, empty for nothing. `is_exact`: the aggregate is integer arithmetic from the updates' bytes and the
    weights, so it has the same bits on every machine; the others are float computations, for experiments.
    """

    paper: str
    weights: str
    told: frozenset[Told] = frozenset()
    state: str = ""
    asks: str = ""
    is_exact: bool = False
    modes: tuple[AdapterMode, ...] = (AdapterMode.FFA, AdapterMode.STACK)


@dataclass(frozen=True, slots=True)
class RoundInput:
    """A closed round: one entry an update in each of the tuples, in the updates' order.

    `scores` and `reputations` (before the round) are micro-nats. `weights`: what a defence gives each update, from 0
    (absent) upwards; only their ratios count. `samples`: rows that each trainer says it used. `trainers`: names
    that stay the same over rounds. An empty tuple means 1 each, or positions as names. `attackers`: how many of the
    updates are malicious, which only experiments know. `number`: the round's. `rate_sum`: the learning rates of a
    trainer's steps added up, 0.0 if unknown. A rule may look only at what its card says that it is told.
    """

    spec: AdapterSpec
    lineage: tuple[bytes, ...]
    updates: tuple[bytes, ...]
    scores: tuple[int, ...]
    reputations: tuple[int, ...]
    weights: tuple[float, ...] = ()
    samples: tuple[int, ...] = ()
    trainers: tuple[str, ...] = ()
    attackers: int = 0
    number: int = 0
    rate_sum: float = 0.0

    def __post_init__(self) -> None:
        lengths = {len(self.updates), len(self.scores), len(self.reputations)}
        invariant(len(lengths) == 1, "a round has a score and a reputation for every update", lengths=lengths)
        for given in (self.weights, self.samples, self.trainers):
            invariant(len(given) in (0, len(self.updates)), "a round says it of every update or of none", got=given)
        invariant(
            all(isfinite(weight) and weight >= 0 for weight in self.weights), "a weight is finite and not negative",
            weights=self.weights,
        )  # fmt: skip
        invariant(all(count >= 0 for count in self.samples), "nobody has fewer than no rows", samples=self.samples)
        invariant(len(set(self.trainers)) == len(self.trainers), "a trainer sends one update", trainers=self.trainers)

    def get_weights(self) -> tuple[float, ...]:
        """The defence's weights."""
        return self.weights or (1.0,) * len(self.updates)

    def get_sample_weights(self) -> tuple[float, ...]:
        """The defence's weights times the rows that each trainer says it used."""
        samples = self.samples or (1,) * len(self.updates)
        return tuple(weight * count for weight, count in zip(self.get_weights(), samples, strict=True))

    def get_trainers(self) -> tuple[str, ...]:
        """The trainers' names; their positions if nobody said."""
        return self.trainers or tuple(str(index) for index in range(len(self.updates)))


@dataclass(frozen=True, slots=True)
class RoundOutcome:
    """`accepted`: positions of the updates that the aggregate is made of, ascending.

    `aggregate` is None if there are none: then the model stays as it is.
    """

    accepted: tuple[int, ...]
    reputations: tuple[int, ...]
    aggregate: bytes | None


@dataclass(frozen=True, slots=True)
class ClientHook:
    """What a trainer is asked to do differently; None for nothing.

    `proximal_mu`: mu of a proximal term. `control`: every step moves B, by module, by -rate times this as well.
    """

    proximal_mu: float | None = None
    control: Mapping[str, FloatArray] | None = None


NO_HOOK = ClientHook()


class AggregationRule(Protocol):
    """A pure function of a round and the state before it. `needs_scores` is False for rules that never look at them."""

    @property
    def name(self) -> str: ...

    @property
    def needs_scores(self) -> bool: ...

    @property
    def card(self) -> RuleCard: ...

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]: ...


@runtime_checkable
class AsksTrainers(Protocol):
    """A rule that changes how trainers train."""

    def build_client_hook(self, spec: AdapterSpec, trainer: str, state: bytes) -> ClientHook: ...


def build_client_hook(rule: AggregationRule, spec: AdapterSpec, trainer: str, state: bytes) -> ClientHook:
    """What `rule` asks of this trainer in the round after `state`."""
    return rule.build_client_hook(spec, trainer, state) if isinstance(rule, AsksTrainers) else NO_HOOK


def aggregate_updates(spec: AdapterSpec, lineage: Sequence[bytes], updates: Sequence[bytes]) -> bytes | None:
    """The exact mean of these updates on top of the model, or None without any."""
    if not updates:
        return None
    return compute_aggregate(spec, lineage[-1] if lineage else None, updates)


def append_round(spec: AdapterSpec, lineage: tuple[bytes, ...], aggregate: bytes | None) -> tuple[bytes, ...]:
    """The lineage after a round. FFA keeps only the last aggregate, for it holds the whole model; STACK keeps all."""
    if aggregate is None:
        return lineage
    return (aggregate,) if spec.mode is AdapterMode.FFA else (*lineage, aggregate)
