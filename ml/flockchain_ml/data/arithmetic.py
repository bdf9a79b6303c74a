"""Sums and differences of small integers."""

from __future__ import annotations

from random import Random
from typing import Final

from flockchain_ml.data.domain import Domain
from flockchain_ml.data.numerals import NUMERALS

__all__ = ["ARITHMETIC"]

_TERM_MAX: Final = 15
_DOWNSTREAM: Final = {
    "plus": ("what is {a} plus {b} ?", "tell me {a} plus {b} :", "{a} plus {b} equals"),
    "minus": ("what is {a} minus {b} ?", "tell me {a} minus {b} :", "{a} minus {b} equals"),
}
_PRETRAINING: Final = {"plus": "sum", "minus": "diff"}
_ORDERS: Final = ("{op} {a} {b} ->", "{a} {op} {b} ->", "{a} {b} {op} ->")


def _draw(rng: Random) -> tuple[str, int, int, str]:
    a, b = rng.randint(0, _TERM_MAX), rng.randint(0, _TERM_MAX)
    if rng.random() < 0.5:
        return "plus", a, b, str(a + b)
    a, b = max(a, b), min(a, b)
    return "minus", a, b, str(a - b)


def _make_downstream(rng: Random) -> tuple[str, str]:
    kind, a, b, answer = _draw(rng)
    return rng.choice(_DOWNSTREAM[kind]).format(a=a, b=b), answer


def _make_pretraining(rng: Random) -> tuple[str, str]:
    kind, a, b, answer = _draw(rng)
    return rng.choice(_ORDERS).format(op=_PRETRAINING[kind], a=a, b=b), answer


ARITHMETIC: Final = Domain(
    name="arithmetic",
    make_downstream=_make_downstream,
    make_pretraining=_make_pretraining,
    words=("what", "is", "plus", "minus", "?", "tell", "me", ":", "equals", "sum", "diff", "->", *NUMERALS),
)
