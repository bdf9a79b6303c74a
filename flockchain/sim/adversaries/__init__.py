"""Byzantine validators, one a file. To add one: a file, and a line in `ADVERSARIES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from flockchain.sim.adversaries.adversary import Adversary
from flockchain.sim.adversaries.double_voter import DoubleVoter
from flockchain.sim.adversaries.equivocating_leader import EquivocatingLeader
from flockchain.sim.adversaries.invalid_proposer import InvalidProposer
from flockchain.sim.adversaries.withholder import Withholder

__all__ = ["ADVERSARIES", "Adversary"]

ADVERSARIES: Final[Mapping[str, Callable[[], Adversary]]] = {
    "double_voter": DoubleVoter,
    "equivocating_leader": EquivocatingLeader,
    "invalid_proposer": InvalidProposer,
    "withholder": Withholder,
}
