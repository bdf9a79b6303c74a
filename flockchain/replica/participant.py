"""What a replica is made of: who it is, which chain it follows, and the parts that it is handed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from flockchain.consensus.timers import Timer
from flockchain.crypto.bls import BlsBackend
from flockchain.duties import DutyCore
from flockchain.gossip.relay import RelayConfig
from flockchain.primitives.numbers import Epoch, Hash, View
from flockchain.replica.answers import ArchiveReader
from flockchain.replica.epochs import Epochs, Identity
from flockchain.replica.learning_desk import LearningDesk
from flockchain.replica.proposer import Pace
from flockchain.sync.core import SyncConfig

__all__ = ["CheckTick", "GossipTick", "Participant", "ProposeTick", "SyncTick", "ViewTimer"]


@dataclass(frozen=True, slots=True)
class Participant:
    """Everything that does not change while a replica lives.

    `vote_records` and `duties` come from this participant's journals: what it signed before it was restarted.
    """

    genesis_hash: Hash
    bls: BlsBackend
    identity: Identity
    epochs: Epochs
    pace: Pace
    archive: ArchiveReader
    duties: DutyCore | None = None
    vote_records: Sequence[bytes] = ()
    sync_config: SyncConfig = field(default_factory=SyncConfig)
    relay_config: RelayConfig = field(default_factory=RelayConfig)

    def build_desk(self) -> LearningDesk:
        return LearningDesk(self.genesis_hash, self.bls, self.duties)


@dataclass(frozen=True, slots=True)
class ViewTimer:
    """A timer of the consensus core of `epoch`."""

    epoch: Epoch
    timer: Timer


@dataclass(frozen=True, slots=True)
class ProposeTick:
    """The pace allows our block now."""


@dataclass(frozen=True, slots=True)
class CheckTick:
    """A block's timestamp is reached by our clock: its execution may be believed now."""

    epoch: Epoch
    view: View
    block_hash: Hash


@dataclass(frozen=True, slots=True)
class GossipTick:
    """Pass on the extrinsics that gathered."""


@dataclass(frozen=True, slots=True)
class SyncTick:
    """Look whether we fell behind."""
