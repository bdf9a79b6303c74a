"""What this node answers to peers that ask for blocks and certificates.

Reads the ledger and the archive; changes nothing. A question that cannot be answered gets an empty answer
or none, never an error.
"""

from __future__ import annotations

from typing import Protocol

from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.block import Block
from flockchain.primitives.errors import invariant
from flockchain.primitives.numbers import Epoch, Hash, Height
from flockchain.primitives.vote import Certificate
from flockchain.replica.epochs import Epochs
from flockchain.runtime.ledger import Ledger
from flockchain.sync.serving import build_reply

__all__ = ["Answers", "ArchiveReader"]


class ArchiveReader(Protocol):
    """The finalized chain on disk."""

    def get_block(self, height: Height) -> Block | None: ...

    def get_block_by_hash(self, block_hash: Hash) -> Block | None: ...

    def get_certificate(self, height: Height) -> Certificate | None: ...


class Answers:
    """Blocks and certificates by height, by hash and by epoch."""

    def __init__(self, archive: ArchiveReader, ledger: Ledger, epochs: Epochs) -> None:
        self._archive = archive
        self._ledger = ledger
        self._epochs = epochs

    def find_block(self, block_hash: Hash) -> Block | None:
        """An executed or finalized block."""
        executed = self._ledger.get(block_hash)
        return executed.block if executed is not None else self._archive.get_block_by_hash(block_hash)

    def find_blocks(self, from_height: Height, count: int) -> tuple[tuple[Block, ...], Certificate | None]:
        """Finalized blocks from `from_height` within its epoch, and the certificate of the last of them."""
        head = self._ledger.finalized.header.height
        if not 0 < from_height <= head:
            return (), None
        last = self._epochs.compute_last_height(self._epochs.compute_epoch(from_height))
        return build_reply(self._archive, from_height, count, min(head, last))

    def find_handover(self, epoch: Epoch) -> Certificate | None:
        """The finalization of the last block of an epoch that is over."""
        return self._archive.get_certificate(self._epochs.compute_last_height(epoch))

    def get_anchor_hash(self, epoch: Epoch) -> Hash:
        """The hash of the last block before `epoch`, which is finalized."""
        height = self._epochs.compute_anchor_height(epoch)
        finalized = self._ledger.finalized
        if height == finalized.header.height:
            return finalized.block_hash
        block = self._archive.get_block(height)
        invariant(block is not None, "the archive holds the anchor of the open epoch", height=height)
        return compute_block_hash(block.header)  # type: ignore[union-attr]
