"""Label flip: every row gets another row's answer of the same domain (Tolpegin et al., 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar, Final

from flockchain_ml.attacks.attack import Attack, Success
from flockchain_ml.rows import Row

__all__ = ["LABEL_FLIP", "FlippedAnswers"]


@dataclass(frozen=True, slots=True)
class FlippedAnswers:
    """Trains on wrong answers. Its success shows as lost accuracy: there are no probe rows."""

    success: ClassVar[Success] = Success.UNTARGETED

    def poison_rows(self, rows: Sequence[Row], rng: Random) -> tuple[Row, ...]:
        answers: dict[str, list[str]] = {}
        for row in rows:
            seen = answers.setdefault(row.domain, [])
            if row.answer not in seen:
                seen.append(row.answer)
        return tuple(_flip(row, answers[row.domain], rng) for row in rows)

    def build_probe_rows(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        return ()


def _flip(row: Row, answers: Sequence[str], rng: Random) -> Row:
    others = [answer for answer in answers if answer != row.answer]
    return replace(row, answer=rng.choice(others)) if others else row


LABEL_FLIP: Final = Attack("label-flip", FlippedAnswers())
