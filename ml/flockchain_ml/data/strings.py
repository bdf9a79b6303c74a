"""Operations on short sequences of letters; answers of one to three words."""

from __future__ import annotations

from random import Random
from typing import Final

from flockchain_ml.data.domain import Domain

__all__ = ["STRINGS"]

_LETTERS: Final = tuple("abcdefghijklmnopqrst")
_LENGTH: Final = 3
_DOWNSTREAM: Final = {
    "reverse": ("write {s} backwards :", "please turn {s} around :"),
    "first": ("which letter starts {s} ?", "please name the start of {s} :"),
    "last": ("which letter ends {s} ?", "please name the end of {s} :"),
    "copy": ("write {s} again :", "please say {s} once more :"),
}
_PRETRAINING: Final = {"reverse": "rev", "first": "head", "last": "tail", "copy": "same"}
_ORDERS: Final = ("{op} {s} ->", "{s} {op} ->")


def _draw(rng: Random) -> tuple[str, str, str]:
    letters = rng.choices(_LETTERS, k=_LENGTH)
    kind = rng.choice(list(_DOWNSTREAM))
    answer = {"reverse": letters[::-1], "first": letters[:1], "last": letters[-1:], "copy": letters}[kind]
    return kind, " ".join(letters), " ".join(answer)


def _make_downstream(rng: Random) -> tuple[str, str]:
    kind, letters, answer = _draw(rng)
    return rng.choice(_DOWNSTREAM[kind]).format(s=letters), answer


def _make_pretraining(rng: Random) -> tuple[str, str]:
    kind, letters, answer = _draw(rng)
    return rng.choice(_ORDERS).format(op=_PRETRAINING[kind], s=letters), answer


STRINGS: Final = Domain(
    name="strings",
    make_downstream=_make_downstream,
    make_pretraining=_make_pretraining,
    words=(
        *("write", "backwards", ":", "please", "turn", "around", "which", "letter", "starts", "ends", "?", "name"),
        *("the", "start", "end", "of", "again", "say", "once", "more", "rev", "head", "tail", "same", "->"),
        *_LETTERS,
    ),
)
