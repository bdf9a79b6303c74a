"""Catching up with the finalized chain: by blocks (`core`, answered by `serving`), by a snapshot of the state
(`snapshots`); and what is kept for those who come later (`retention`)."""

from flockchain.sync.core import (
    ApplyBlocks,
    BlamePeer,
    CertificateVerifier,
    RequestBlocks,
    SyncConfig,
    SyncCore,
    SyncEffect,
)
from flockchain.sync.retention import RetentionConfig
from flockchain.sync.serving import BlockSource, build_reply
from flockchain.sync.snapshots import Checkpoint, SnapshotConfig, SnapshotCore

__all__ = [
    "ApplyBlocks", "BlamePeer", "BlockSource", "CertificateVerifier", "Checkpoint", "RequestBlocks",
    "RetentionConfig", "SnapshotConfig", "SnapshotCore", "SyncConfig", "SyncCore", "SyncEffect", "build_reply",
]  # fmt: skip
