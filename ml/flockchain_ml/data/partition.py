"""Who gets which rows: seeded splits of the domains over trainers, and the evaluation suite.

Training and evaluation prompts are disjoint by construction: a prompt's digest decides on which side it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from flockchain.primitives.errors import invariant
from flockchain_ml.data.domain import Domain
from flockchain_ml.rows import Row

__all__ = ["compute_seed", "generate_shard", "generate_suite", "is_held_out", "mix_in"]

_HELD_OUT_ONE_IN: Final = 4
_SUITE_DRAWS_PER_ROW_MAX: Final = 200


def compute_seed(*parts: object) -> int:
    """A 64-bit seed from any labels: the same parts give the same seed on every machine."""
    text = "\0".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")


def is_held_out(prompt: str) -> bool:
    """Whether this prompt belongs to evaluation and never to training."""
    return hashlib.sha256(prompt.encode("utf-8")).digest()[0] % _HELD_OUT_ONE_IN == 0


def generate_shard(
    domains: Sequence[Domain], main: int, row_count: int, main_share_percent: int, seed: int
) -> tuple[Row, ...]:
    """A trainer's private rows: `main_share_percent` of domain `main`, the rest evenly from the others."""
    rng = Random(seed)
    others = [index for index in range(len(domains)) if index != main]
    rows = []
    for _ in range(row_count):
        is_main = not others or rng.randrange(100) < main_share_percent
        domain = domains[main if is_main else rng.choice(others)]
        rows.append(_draw(domain, rng, lambda prompt: not is_held_out(prompt)))
    return tuple(rows)


def mix_in(rows: Sequence[Row], domain: Domain, share_percent: int, seed: int) -> tuple[Row, ...]:
    """The same number of rows, `share_percent` of which are now training rows of this domain."""
    rng = Random(seed)
    return tuple(
        _draw(domain, rng, lambda prompt: not is_held_out(prompt)) if rng.randrange(100) < share_percent else row
        for row in rows
    )


def generate_suite(domains: Sequence[Domain], row_count: int, seed: int) -> tuple[Row, ...]:
    """Held-out rows of all domains by turn. A small domain repeats its prompts once they are used up."""
    rng = Random(seed)
    return tuple(_draw(domains[index % len(domains)], rng, is_held_out) for index in range(row_count))


def _draw(domain: Domain, rng: Random, is_wanted: Callable[[str], bool]) -> Row:
    for _ in range(_SUITE_DRAWS_PER_ROW_MAX):
        row = domain.generate(rng)
        if is_wanted(row.prompt):
            return row
    invariant(False, "a domain yields no row on the wanted side of the split", domain=domain.name)
    raise AssertionError
