"""Who does the work orders of simulated nodes: blob stores, exact arithmetic, and evaluators that may fail.

Findings and aggregates are computed exactly; only the scores are made up: a fixed function of an update's bytes, so
that honest evaluators agree. An evaluator can fail an order, never answer it, lie, or be dead for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from flockchain.duties import (
    Aggregate,
    AggregateDone,
    AggregateFailed,
    AggregateOrder,
    BlobFailed,
    BlobFetched,
    DutyResult,
    Evaluate,
    EvaluateDone,
    EvaluateFailed,
    EvaluateOrder,
    FetchBlob,
    compute_findings,
)
from flockchain.exact import compute_aggregate
from flockchain.primitives.learning import UpdateRecord, UpdateStatus
from flockchain.replica import events
from flockchain.sim.sim_blobs import SimBlobs

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode
    from flockchain.sim.world import World

__all__ = ["EvaluatorDeath", "EvaluatorFaults", "SimEvaluators", "compute_score"]

_DELAY_MS: Final = (20, 400)
_LOSS_OF_A_ROW: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class EvaluatorDeath:
    """The evaluator of a node is gone from `at_ms` on, for `length_ms`."""

    at_ms: int
    length_ms: int
    node: int


@dataclass(frozen=True, slots=True)
class EvaluatorFaults:
    """What goes wrong with evaluators. Probabilities in per mille of orders; `liar` is a node's index."""

    fail_permille: int = 0
    stall_permille: int = 0  # the order is never answered
    liar: int | None = None
    deaths: tuple[EvaluatorDeath, ...] = ()


@dataclass
class SimEvaluators:
    """One evaluator a node. All randomness is the world's."""

    world: World
    blobs: SimBlobs
    faults: EvaluatorFaults
    _dead: dict[int, int] = field(default_factory=dict)  # node -> deaths under way

    def unleash(self) -> None:
        """Put the deaths on the world's schedule."""
        for death in self.faults.deaths:
            self.world.schedule.add(death.at_ms, lambda node=death.node: self._change(node, 1))  # type: ignore[misc]
            self.world.schedule.add(
                death.at_ms + death.length_ms,
                lambda node=death.node: self._change(node, -1),  # type: ignore[misc]
            )

    def on_work(self, node: SimNode, order: Any) -> None:
        """Take an order; its answer comes after a while, unless the node has been restarted meanwhile."""
        self.world.mark(type(order).__name__)
        life, delay_ms = node.life, self.world.rng.randint(*_DELAY_MS)

        def answer() -> None:
            if node.life == life:
                result = _ANSWERS[type(order)](self, node, order)
                if result is not None:
                    node.handle(events.WorkDone(result))

        self.world.schedule.add(delay_ms, answer)

    def _change(self, node: int, by: int) -> None:
        self._dead[node] = self._dead.get(node, 0) + by

    def _fetch(self, node: SimNode, effect: FetchBlob) -> DutyResult:
        return BlobFetched(effect.root) if self.blobs.fetch(node, effect.root) else BlobFailed(effect.root)

    def _evaluate(self, node: SimNode, effect: Evaluate) -> DutyResult | None:
        order, faults, index = effect.order, self.faults, self.world.nodes.index(node)
        blobs = [
            self.blobs.read(node, update.blob) if is_available else None
            for update, is_available in zip(order.updates, order.is_available, strict=True)
        ]
        findings = compute_findings(order.spec.adapter, order.updates, blobs)
        fate = self.world.rng.randrange(1000)
        if self._dead.get(index) or fate < faults.fail_permille:
            self.world.mark("evaluator failed")
            return EvaluateFailed(order.task, order.round, findings)
        if fate < faults.fail_permille + faults.stall_permille:
            self.world.mark("evaluator stalled")
            return None
        return _score(order, findings, is_liar=index == faults.liar)

    def _aggregate(self, node: SimNode, effect: Aggregate) -> DutyResult:
        order: AggregateOrder = effect.order
        previous = self.blobs.read(node, order.previous.root) if order.previous is not None else None
        updates = [self.blobs.read(node, update.root) for update in order.updates]
        here = [update for update in updates if update is not None]
        if len(here) < len(updates) or (previous is None and order.previous is not None):
            return AggregateFailed(order.task, order.round)
        data = compute_aggregate(order.adapter, previous, here)
        return AggregateDone(order.task, order.round, self.blobs.put(node, data), len(data))


def compute_score(update: UpdateRecord) -> int:
    """What an honest evaluator says of an update."""
    return int.from_bytes(update.digest[:2], "big") - 20_000


def _score(order: EvaluateOrder, findings: tuple[UpdateStatus | None, ...], *, is_liar: bool) -> EvaluateDone:
    sign = -1 if is_liar else 1
    scores = tuple(
        sign * compute_score(update) if finding is None else None
        for finding, update in zip(findings, order.updates, strict=True)
    )
    losses = tuple(_LOSS_OF_A_ROW + row for row in order.rows) if any(score is not None for score in scores) else ()
    return EvaluateDone(order.task, order.round, findings, scores, losses)


_ANSWERS: Final[Mapping[type, Callable[[SimEvaluators, SimNode, Any], DutyResult | None]]] = {
    FetchBlob: SimEvaluators._fetch,
    Evaluate: SimEvaluators._evaluate,
    Aggregate: SimEvaluators._aggregate,
}
