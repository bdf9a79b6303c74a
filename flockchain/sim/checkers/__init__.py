"""What must hold in every world, one promise a file. To add one: a file, and a line in `CHECKERS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flockchain.sim.checkers.agreement import Agreement
from flockchain.sim.checkers.certified_models import CertifiedModels
from flockchain.sim.checkers.checker import Checker, Violation
from flockchain.sim.checkers.issuance import Issuance
from flockchain.sim.checkers.once import Once
from flockchain.sim.checkers.one_vote import OneVote
from flockchain.sim.checkers.one_word import OneWord
from flockchain.sim.checkers.queues import Queues
from flockchain.sim.checkers.replay import Replay
from flockchain.sim.checkers.rounds import Rounds
from flockchain.sim.checkers.slashing import Slashing
from flockchain.sim.checkers.verdicts import Verdicts

__all__ = ["CHECKERS", "Checker", "Violation"]

CHECKERS: Final[tuple[Callable[[], Checker], ...]] = (
    Agreement, OneVote, OneWord, CertifiedModels, Verdicts, Rounds, Slashing, Issuance, Once, Queues, Replay,
)  # fmt: skip
