"""What a domain of data is: a seeded source of downstream rows and of rows to pre-train on.

Downstream and pre-training rows ask for the same facts in other surface forms, so that a base model
knows the facts and fine-tuning has something to teach.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from flockchain_ml.rows import Row

__all__ = ["Domain", "Maker"]

Maker = Callable[[Random], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Domain:
    """One templated source. Both makers return (prompt, answer), words separated by one space."""

    name: str
    make_downstream: Maker
    make_pretraining: Maker
    words: tuple[str, ...]  # every word that either maker may use

    def generate(self, rng: Random) -> Row:
        """One downstream row."""
        prompt, answer = self.make_downstream(rng)
        return Row(prompt, answer, self.name)

    def generate_pretraining(self, rng: Random) -> Row:
        """One row in the surface form of pre-training."""
        prompt, answer = self.make_pretraining(rng)
        return Row(prompt, answer, self.name)
