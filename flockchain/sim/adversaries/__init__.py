"""Byzantine validators, one a file. To add one: a file, and a line in `ADVERSARIES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from flockchain.sim.adversaries.adversary import Adversary
from flockchain.sim.adversaries.double_committer import DoubleCommitter
from flockchain.sim.adversaries.double_voter import DoubleVoter
from flockchain.sim.adversaries.equivocating_leader import EquivocatingLeader
from flockchain.sim.adversaries.false_revealer import FalseRevealer
from flockchain.sim.adversaries.flooder import Flooder
from flockchain.sim.adversaries.impostor import Impostor
from flockchain.sim.adversaries.invalid_proposer import InvalidProposer
from flockchain.sim.adversaries.lone_certifier import LoneCertifier
from flockchain.sim.adversaries.root_forger import RootForger
from flockchain.sim.adversaries.withholder import Withholder

__all__ = ["ADVERSARIES", "Adversary"]

ADVERSARIES: Final[Mapping[str, Callable[[], Adversary]]] = {
    "double_committer": DoubleCommitter,
    "double_voter": DoubleVoter,
    "equivocating_leader": EquivocatingLeader,
    "false_revealer": FalseRevealer,
    "flooder": Flooder,
    "impostor": Impostor,
    "invalid_proposer": InvalidProposer,
    "lone_certifier": LoneCertifier,
    "root_forger": RootForger,
    "withholder": Withholder,
}
