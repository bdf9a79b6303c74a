"""What must hold in every world, one promise a file. To add one: a file, and a line in `CHECKERS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flockchain.sim.checkers.agreement import Agreement
from flockchain.sim.checkers.ancestry import Ancestry
from flockchain.sim.checkers.blame import Blame
from flockchain.sim.checkers.certificates import Certificates
from flockchain.sim.checkers.certified_models import CertifiedModels
from flockchain.sim.checkers.checker import Checker, Violation
from flockchain.sim.checkers.exposure import Exposure
from flockchain.sim.checkers.heights import Heights
from flockchain.sim.checkers.installs import Installs
from flockchain.sim.checkers.invariants import Invariants
from flockchain.sim.checkers.issuance import Issuance
from flockchain.sim.checkers.items import Items
from flockchain.sim.checkers.leaders import Leaders
from flockchain.sim.checkers.once import Once
from flockchain.sim.checkers.one_vote import OneVote
from flockchain.sim.checkers.one_word import OneWord
from flockchain.sim.checkers.outcomes import Outcomes
from flockchain.sim.checkers.persistence import Persistence
from flockchain.sim.checkers.queues import Queues
from flockchain.sim.checkers.replay import Replay
from flockchain.sim.checkers.rounds import Rounds
from flockchain.sim.checkers.slashing import Slashing
from flockchain.sim.checkers.unbonding import Unbonding
from flockchain.sim.checkers.verdicts import Verdicts

__all__ = ["CHECKERS", "Checker", "Violation"]

CHECKERS: Final[tuple[Callable[[], Checker], ...]] = (
    Agreement, OneVote, OneWord, Certificates, Ancestry, Leaders, Outcomes, Heights, Persistence, CertifiedModels,
    Items, Verdicts, Rounds, Slashing, Exposure, Unbonding, Issuance, Invariants, Once, Queues, Replay,
    Installs, Blame,
)  # fmt: skip
