"""Whether a short sentence is positive or negative, with negation."""

from __future__ import annotations

from random import Random
from typing import Final

from flockchain_ml.data.domain import Domain

__all__ = ["SENTIMENT"]

_THINGS: Final = ("movie", "book", "song", "meal", "show", "game", "trip", "hotel")
_GOOD: Final = (
    *("great", "lovely", "superb", "charming", "brilliant", "warm", "clever", "fresh", "bright", "fun"),
    *("elegant", "moving"),
)
_BAD: Final = (
    *("awful", "boring", "bland", "clumsy", "dreadful", "cold", "dull", "stale", "gloomy", "tedious"),
    *("shoddy", "noisy"),
)
_TEMPLATES: Final = (
    "the {thing} was {words} . mood ?",
    "i found that {thing} {words} . my feeling :",
    "what a {words} {thing} . opinion :",
)
_ORDERS: Final = ("rate {thing} {words} ->", "{words} {thing} rate ->", "{thing} rate {words} ->")
_FLIPPED: Final = {"positive": "negative", "negative": "positive"}


def _draw(rng: Random) -> tuple[str, str, str]:
    label = rng.choice(("positive", "negative"))
    word = rng.choice(_GOOD if label == "positive" else _BAD)
    thing = rng.choice(_THINGS)
    if rng.random() < 0.4:
        return thing, f"not {word}", _FLIPPED[label]
    return thing, f"{rng.choice(('very', 'quite', 'so'))} {word}", label


def _make_downstream(rng: Random) -> tuple[str, str]:
    thing, words, label = _draw(rng)
    return rng.choice(_TEMPLATES).format(thing=thing, words=words), label


def _make_pretraining(rng: Random) -> tuple[str, str]:
    thing, words, label = _draw(rng)
    return rng.choice(_ORDERS).format(thing=thing, words=words), label


SENTIMENT: Final = Domain(
    name="sentiment",
    make_downstream=_make_downstream,
    make_pretraining=_make_pretraining,
    words=(
        *("the", "was", ".", "mood", "?", "i", "found", "that", "my", "feeling", ":", "what", "a", "opinion"),
        *("not", "very", "quite", "so", "rate", "->", "positive", "negative"),
        *_THINGS, *_GOOD, *_BAD,
    ),
)  # fmt: skip
