"""Every door that bytes from outside come to. A new one is a line here, and a subject in the file of its family."""

from __future__ import annotations

from tests.fuzz.subject import Target
from tests.fuzz.targets import chain, consensus, files, peers, proofs, transfers

__all__ = ["TARGETS"]

TARGETS: tuple[Target, ...] = (
    *consensus.TARGETS,
    *chain.TARGETS,
    *transfers.TARGETS,
    *peers.TARGETS,
    *files.TARGETS,
    *proofs.TARGETS,
)
