"""Label flip: every row gets another row's answer of the same domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar

from flockchain_ml.rows import Row
from flockchain_ml.tensors import Adapter

__all__ = ["LabelFlip"]


@dataclass(frozen=True, slots=True)
class LabelFlip:
    """Trains on wrong answers. Its success shows as lost accuracy: there are no probe rows."""

    name: ClassVar[str] = "label-flip"

    def poison_rows(self, rows: Sequence[Row], rng: Random) -> tuple[Row, ...]:
        answers: dict[str, list[str]] = {}
        for row in rows:
            seen = answers.setdefault(row.domain, [])
            if row.answer not in seen:
                seen.append(row.answer)
        return tuple(_flip(row, answers[row.domain], rng) for row in rows)

    def poison_update(self, update: Adapter) -> Adapter:
        return update

    def build_probe_rows(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        return ()


def _flip(row: Row, answers: Sequence[str], rng: Random) -> Row:
    others = [answer for answer in answers if answer != row.answer]
    return replace(row, answer=rng.choice(others)) if others else row
