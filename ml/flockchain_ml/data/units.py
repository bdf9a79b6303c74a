"""Conversion between units with small whole factors."""

from __future__ import annotations

from random import Random
from typing import Final

from flockchain_ml.data.domain import Domain
from flockchain_ml.data.numerals import NUMERALS

__all__ = ["UNITS"]

_COUNT_MAX: Final = 9
_FACTORS: Final = {  # (large, small): how many of the small make one of the large
    ("weeks", "days"): 7,
    ("yards", "feet"): 3,
    ("gallons", "quarts"): 4,
    ("pints", "cups"): 2,
    ("decades", "years"): 10,
    ("decimetres", "centimetres"): 10,
    ("stones", "kilos"): 6,
    ("nickels", "cents"): 5,
}
_TEMPLATES: Final = (
    "how many {to} are in {n} {of} ?",
    "change {n} {of} into {to} :",
    "{n} {of} make this number of {to} :",
)
_ORDERS: Final = ("convert {n} {of} {to} ->", "{to} convert {n} {of} ->", "{n} {of} {to} convert ->")


def _draw(rng: Random) -> tuple[int, str, str, int]:
    (large, small), factor = rng.choice(list(_FACTORS.items()))
    n = rng.randint(1, _COUNT_MAX)
    if rng.random() < 0.5:
        return n, large, small, n * factor
    return n * factor, small, large, n


def _make_downstream(rng: Random) -> tuple[str, str]:
    n, of, to, answer = _draw(rng)
    return rng.choice(_TEMPLATES).format(n=n, of=of, to=to), str(answer)


def _make_pretraining(rng: Random) -> tuple[str, str]:
    n, of, to, answer = _draw(rng)
    return rng.choice(_ORDERS).format(n=n, of=of, to=to), str(answer)


UNITS: Final = Domain(
    name="units",
    make_downstream=_make_downstream,
    make_pretraining=_make_pretraining,
    words=(
        *("how", "many", "are", "in", "?", "change", "into", ":", "make", "this", "number", "of", "convert", "->"),
        *(word for pair in _FACTORS for word in pair),
        *NUMERALS,
    ),
)
