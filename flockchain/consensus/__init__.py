"""Simplex consensus as a pure core: events in, effects out. The protocol and its safety are in README.md."""

from flockchain.consensus.config import ConsensusKeys, CoreConfig, EpochContext
from flockchain.consensus.core import Core
from flockchain.consensus.effects import Effect
from flockchain.consensus.elector import compute_leader
from flockchain.consensus.events import Event
from flockchain.consensus.evidence import verify_evidence
from flockchain.consensus.guard import GUARD_RECORD, GuardState
from flockchain.consensus.timers import Timer, TimerKind

__all__ = [
    "GUARD_RECORD", "ConsensusKeys", "Core", "CoreConfig", "Effect", "EpochContext", "Event", "GuardState", "Timer",
    "TimerKind", "compute_leader", "verify_evidence",
]  # fmt: skip
