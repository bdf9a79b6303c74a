"""All mutants. To add one: a function and a line in one of the three lists."""

from __future__ import annotations

from tests.mutants.consensus_mutants import CONSENSUS_MUTANTS
from tests.mutants.learning_mutants import LEARNING_MUTANTS
from tests.mutants.mutant import Mutant
from tests.mutants.state_mutants import STATE_MUTANTS

__all__ = ["MUTANTS"]

MUTANTS: tuple[Mutant, ...] = (*CONSENSUS_MUTANTS, *STATE_MUTANTS, *LEARNING_MUTANTS)
