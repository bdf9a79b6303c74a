"""Byzantine validators, one a file. To add one: a file, and a line in `ADVERSARIES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from flockchain.sim.adversaries.adversary import Adversary
from flockchain.sim.adversaries.double_committer import DoubleCommitter
from flockchain.sim.adversaries.double_voter import DoubleVoter
from flockchain.sim.adversaries.equivocating_leader import EquivocatingLeader
from flockchain.sim.adversaries.false_accuser import FalseAccuser
from flockchain.sim.adversaries.false_revealer import FalseRevealer
from flockchain.sim.adversaries.flooder import Flooder
from flockchain.sim.adversaries.forger import Forger
from flockchain.sim.adversaries.forking_leader import ForkingLeader
from flockchain.sim.adversaries.impostor import Impostor
from flockchain.sim.adversaries.invalid_proposer import InvalidProposer
from flockchain.sim.adversaries.lazy_evaluator import LazyEvaluator
from flockchain.sim.adversaries.lone_certifier import LoneCertifier
from flockchain.sim.adversaries.nullify_finalizer import NullifyFinalizer
from flockchain.sim.adversaries.outsider import Outsider
from flockchain.sim.adversaries.root_forger import RootForger
from flockchain.sim.adversaries.score_copier import ScoreCopier
from flockchain.sim.adversaries.selective_sender import SelectiveSender
from flockchain.sim.adversaries.stale_voter import StaleVoter
from flockchain.sim.adversaries.two_results import TwoResults
from flockchain.sim.adversaries.withholder import Withholder
from flockchain.sim.adversaries.wrong_domain import WrongDomain

__all__ = ["ADVERSARIES", "Adversary"]

ADVERSARIES: Final[Mapping[str, Callable[[], Adversary]]] = {
    "double_committer": DoubleCommitter,
    "double_voter": DoubleVoter,
    "equivocating_leader": EquivocatingLeader,
    "false_accuser": FalseAccuser,
    "false_revealer": FalseRevealer,
    "flooder": Flooder,
    "forger": Forger,
    "forking_leader": ForkingLeader,
    "impostor": Impostor,
    "invalid_proposer": InvalidProposer,
    "lazy_evaluator": LazyEvaluator,
    "lone_certifier": LoneCertifier,
    "nullify_finalizer": NullifyFinalizer,
    "outsider": Outsider,
    "root_forger": RootForger,
    "score_copier": ScoreCopier,
    "selective_sender": SelectiveSender,
    "stale_voter": StaleVoter,
    "two_results": TwoResults,
    "withholder": Withholder,
    "wrong_domain": WrongDomain,
}
