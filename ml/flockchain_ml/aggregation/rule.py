"""What an aggregation rule is: from a round's updates and scores to who counts and what the model becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from flockchain.exact import compute_aggregate
from flockchain.primitives.errors import invariant
from flockchain.primitives.learning import AdapterMode, AdapterSpec

__all__ = ["AggregationRule", "RoundInput", "RoundOutcome", "aggregate_updates", "append_round"]


@dataclass(frozen=True, slots=True)
class RoundInput:
    """A closed round. One score (micro-nats) and one reputation before the round per update, in their order."""

    spec: AdapterSpec
    lineage: tuple[bytes, ...]
    updates: tuple[bytes, ...]
    scores: tuple[int, ...]
    reputations: tuple[int, ...]

    def __post_init__(self) -> None:
        lengths = {len(self.updates), len(self.scores), len(self.reputations)}
        invariant(len(lengths) == 1, "a round has a score and a reputation for every update", lengths=lengths)


@dataclass(frozen=True, slots=True)
class RoundOutcome:
    """`aggregate` is None if no update was accepted: then the model stays as it is."""

    accepted: tuple[int, ...]
    reputations: tuple[int, ...]
    aggregate: bytes | None


class AggregationRule(Protocol):
    """A pure function of a round. `needs_scores` is False for rules that never look at them."""

    @property
    def name(self) -> str: ...

    @property
    def needs_scores(self) -> bool: ...

    def aggregate(self, round: RoundInput) -> RoundOutcome: ...


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
