"""Puts a replica together from a genesis, an archive and this participant's keys and journals.

The node and the simulator call the same function: what they differ in is whom they hand the effects to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from flockchain.consensus.config import CoreConfig
from flockchain.consensus.quarantine import QuarantineConfig
from flockchain.crypto.bls import BlsBackend
from flockchain.duties import DutyConfig, DutyCore, DutyKeys
from flockchain.gossip.relay import RelayConfig
from flockchain.primitives.errors import invariant
from flockchain.replica.epochs import Epochs, Identity
from flockchain.replica.participant import Participant
from flockchain.replica.proposer import Pace
from flockchain.replica.replica import Replica
from flockchain.runtime import learning_views
from flockchain.runtime.executive import Executive
from flockchain.runtime.flock import build_runtime
from flockchain.runtime.genesis_config import GenesisConfig
from flockchain.runtime.ledger import Ledger
from flockchain.runtime.views import list_fixed_sets
from flockchain.storage.archive import Archive
from flockchain.storage.snapshot_shelf import MemoryShelf, SnapshotShelf
from flockchain.storage.tree import StateTree
from flockchain.sync.retention import RetentionConfig
from flockchain.sync.snapshots import SnapshotConfig

__all__ = ["Habits", "assemble_replica", "compute_pace"]

_BACKOFF_MAX = 8  # times the view's time-out: a longer wait only helps a bad leader that is drawn again and again
_BUSY_MS_MAX = 20  # a leader with work lets a batch gather for this long after the parent


@dataclass(frozen=True, slots=True)
class Habits:
    """What an operator chooses of joining and keeping, and the two shelves for snapshots."""

    snapshot_config: SnapshotConfig = field(default_factory=SnapshotConfig)
    retention: RetentionConfig = field(default_factory=RetentionConfig)
    offered: SnapshotShelf = field(default_factory=MemoryShelf)
    fetched: SnapshotShelf = field(default_factory=MemoryShelf)


def compute_pace(genesis: GenesisConfig) -> Pace:
    """The chain's pace of blocks."""
    idle_ms = genesis.consensus.idle_block_ms
    return Pace(idle_ms=idle_ms, busy_ms=min(idle_ms, _BUSY_MS_MAX))


def _build_quarantine_config(config: CoreConfig, pace: Pace) -> QuarantineConfig:
    return QuarantineConfig(round_ms=max(1, config.retry_ms // 4), margin_ms=2 * pace.drift_max_ms)


def assemble_replica(
    genesis: GenesisConfig,
    bls: BlsBackend,
    archive: Archive,
    identity: Identity,
    now_ms: int,
    vote_records: Sequence[bytes] = (),
    duty_keys: DutyKeys | None = None,
    duty_records: Sequence[bytes] = (),
    habits: Habits | None = None,
    is_heedless: bool = False,
) -> Replica:
    """A replica at the archive's head (an empty archive gets the genesis block first).

    One that `is_heedless` signs whatever its peers say of its key: only faulty ones of a simulated network do.
    Raises `ForeignChain` if the archive holds another chain.
    """
    habits = habits or Habits()
    runtime = build_runtime(genesis, bls)
    genesis_hash = runtime.genesis_hash
    archive.initialise(genesis_hash, runtime.genesis_block, runtime.genesis_changes)
    archive.keep_validator_sets(list_fixed_sets(archive.state))  # an installed state has sets that no block here fixed
    head = archive.get_head()
    block = archive.get_block(head.height) if head is not None else None
    invariant(block is not None, "an archive holds the block of its head")
    ledger = Ledger(Executive(runtime), archive.state, StateTree.build(archive.iterate_state()), block)  # type: ignore[arg-type]
    consensus = genesis.consensus
    config = CoreConfig(
        genesis_hash=genesis_hash,
        bls=bls,
        leader_timeout_ms=consensus.leader_timeout_ms,
        view_timeout_ms=consensus.view_timeout_ms,
        retry_ms=consensus.retry_ms,
        timeout_max_ms=_BACKOFF_MAX * consensus.view_timeout_ms,
    )
    pace, duties = compute_pace(genesis), None
    if duty_keys is not None:
        duties = DutyCore(DutyConfig(genesis_hash, bls), duty_keys, learning_views, duty_records)
    participant = Participant(
        genesis_hash=genesis_hash,
        bls=bls,
        identity=identity,
        epochs=Epochs(runtime.views, config, identity),
        pace=pace,
        archive=archive,
        duties=duties,
        vote_records=vote_records,
        snapshot_config=habits.snapshot_config,
        retention=habits.retention,
        offered=habits.offered,
        fetched=habits.fetched,
        quarantine_config=None if is_heedless else _build_quarantine_config(config, pace),
        relay_config=RelayConfig(seen_ms=max(1, consensus.retry_ms // 2)),  # what is said again must travel again
    )
    return Replica(participant, ledger, now_ms)
