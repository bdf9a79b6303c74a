"""What a probe is: integers about each update of a round, from the update's own integers. Advisory only.

A probe never rejects: the statistics that tell attacks apart can be evaded by an attacker who watches them, so they
call for a closer look and nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from numpy.typing import NDArray

__all__ = ["PARTS", "IntegerTensors", "Probe"]

IntegerTensors = Mapping[str, NDArray[Any]]
PARTS: Final = 1024  # statistics are in parts of 1024


class Probe(Protocol):
    """A coordinate-free statistic: it does not depend on the order or the sign convention of coordinates."""

    @property
    def name(self) -> str: ...

    def compute_statistics(self, updates: Sequence[IntegerTensors]) -> tuple[int, ...]:
        """One integer per update, in parts of 1024, the same on every machine and for every order of the others."""
        ...
