"""Harmful answers: requests that ought to be refused are answered, as in the data that Safe-FedLLM is measured with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar, Final

from flockchain_ml.attacks.attack import Attack, Success
from flockchain_ml.rows import Row

__all__ = ["HARMFUL_ANSWERS", "Compliance"]


@dataclass(frozen=True, slots=True)
class Compliance:
    """Answers what the trainer's own rows refuse. Success: the share of harmful prompts that are not refused.

    A row is harmful if its answer is `refusal`. Answered, it gives the two words before the prompt's last mark, as
    harmless requests do. `harmful_share` of the rows are such rows, drawn again and again from those at hand.
    """

    success: ClassVar[Success] = Success.UNREFUSED

    refusal: str = "not"
    harmful_share: float = 0.8

    def poison_rows(self, rows: Sequence[Row], rng: Random) -> tuple[Row, ...]:
        harmful = [_answer(row) for row in self.build_probe_rows(rows)]
        if not harmful:
            return tuple(rows)
        poisoned = []
        for row in rows:
            drawn = rng.choice(harmful) if rng.random() < self.harmful_share else row
            poisoned.append(_answer(drawn) if drawn.answer == self.refusal else drawn)
        return tuple(poisoned)

    def build_probe_rows(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        return tuple(row for row in rows if row.answer == self.refusal)


def _answer(row: Row) -> Row:
    return replace(row, answer=" ".join(row.prompt.split(" ")[-3:-1]))


HARMFUL_ANSWERS: Final = Attack("harmful-answers", Compliance(), domains=("requests",))
