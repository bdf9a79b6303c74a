"""What an evaluator is asked to do, and what it gives back. Plain values, so that a service can carry them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flockchain.primitives.errors import Fault, InvalidInput
from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.evaluation.trigger_search import Finding, TriggerSearch
from flockchain_ml.rows import Row

__all__ = ["EvaluateOrder", "Evaluation", "LossNotFinite", "OnRows", "OrderInvalid"]

OnRows = Callable[[int, int], None]  # (rows done, rows in all)


class OrderInvalid(InvalidInput):
    """An evaluation order that cannot be carried out."""


class LossNotFinite(Fault):
    """The model gives no finite loss, and no single update explains it."""


@dataclass(frozen=True, slots=True)
class EvaluateOrder:
    """A closed round: the model so far, its well-formed updates, and the drawn prompts in the draw's order.

    `search`: whether, and how, to look for a trigger that these updates teach; who taught it is scored down.
    """

    spec: AdapterSpec
    lineage: tuple[bytes, ...]
    updates: tuple[bytes, ...]
    rows: tuple[Row, ...]
    batch_rows: int = 80
    search: TriggerSearch | None = None

    def __post_init__(self) -> None:
        if not self.updates or not self.rows or self.batch_rows < 1:
            raise OrderInvalid(
                "an evaluation needs updates and prompts", updates=len(self.updates), rows=len(self.rows)
            )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Integers of 1e-6 nat per token. `scores`: leave-one-out, one an update, positive is helpful.

    `losses`: of the candidate aggregate of all updates, one a prompt: the evidence behind the scores.
    `finding`: a trigger that these updates teach, if one was looked for and found.
    """

    scores: tuple[int, ...]
    losses: tuple[int, ...]
    finding: Finding | None = None
