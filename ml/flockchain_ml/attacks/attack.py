"""What an attack is: it may change its own rows, and what it uploads. Nothing else is in a trainer's power."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol

from flockchain_ml.rows import Row
from flockchain_ml.tensors import Adapter

__all__ = ["Attack"]


class Attack(Protocol):
    """A malicious trainer's two levers, and how its success is measured."""

    @property
    def name(self) -> str: ...

    def poison_rows(self, rows: Sequence[Row], rng: Random) -> tuple[Row, ...]:
        """The rows that the attacker really trains on."""
        ...

    def poison_update(self, update: Adapter) -> Adapter:
        """What the attacker really uploads (FFA: `b` is ΔB)."""
        ...

    def build_probe_rows(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        """Rows whose answer a model gives only if the attack succeeded on them; empty if there are none."""
        ...
