"""What must hold in every world, one promise a file. To add one: a file, and a line in `CHECKERS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flockchain.sim.checkers.agreement import Agreement
from flockchain.sim.checkers.checker import Checker, Violation
from flockchain.sim.checkers.one_vote import OneVote

__all__ = ["CHECKERS", "Checker", "Violation"]

CHECKERS: Final[tuple[Callable[[], Checker], ...]] = (Agreement, OneVote)
