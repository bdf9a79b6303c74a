"""Catching up with the finalized chain (`core`), and answering those who do (`serving`)."""

from flockchain.sync.core import (
    ApplyBlocks,
    BlamePeer,
    CertificateVerifier,
    RequestBlocks,
    SyncConfig,
    SyncCore,
    SyncEffect,
)
from flockchain.sync.serving import BlockSource, build_reply

__all__ = [
    "ApplyBlocks", "BlamePeer", "BlockSource", "CertificateVerifier", "RequestBlocks", "SyncConfig", "SyncCore",
    "SyncEffect", "build_reply",
]  # fmt: skip
