"""What a replica is made of: who it is, which chain it follows, and the parts that it is handed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from flockchain.consensus.quarantine import QuarantineConfig
from flockchain.crypto.bls import BlsBackend
from flockchain.duties import DutyCore
from flockchain.gossip.relay import RelayConfig
from flockchain.primitives.numbers import Hash
from flockchain.replica.answers import ArchiveReader
from flockchain.replica.epochs import Epochs, Identity
from flockchain.replica.learning_desk import LearningDesk
from flockchain.replica.proposer import Pace
from flockchain.storage.snapshot_shelf import MemoryShelf, SnapshotShelf
from flockchain.sync.core import SyncConfig
from flockchain.sync.retention import RetentionConfig
from flockchain.sync.snapshots import SnapshotConfig

__all__ = ["Participant"]


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
    snapshot_config: SnapshotConfig = field(default_factory=SnapshotConfig)
    retention: RetentionConfig = field(default_factory=RetentionConfig)
    offered: SnapshotShelf = field(default_factory=MemoryShelf)  # our own snapshots, for others
    fetched: SnapshotShelf = field(default_factory=MemoryShelf)  # the chunks of the one that we join by
    quarantine_config: QuarantineConfig | None = field(default_factory=QuarantineConfig)  # None: heedless

    def build_desk(self) -> LearningDesk:
        return LearningDesk(self.genesis_hash, self.bls, self.duties)
