"""What this node answers to peers that ask for blocks and certificates.

Reads the ledger and the archive; changes nothing. A question that cannot be answered gets an empty answer
or none, never an error.
"""

from __future__ import annotations

from typing import Protocol

from flockchain.crypto.hashing import compute_block_hash
from flockchain.gossip.messages import BlocksPruned, BlocksReply
from flockchain.primitives.block import Block, Header
from flockchain.primitives.errors import invariant
from flockchain.primitives.numbers import Epoch, Hash, Height, TimestampMs
from flockchain.primitives.validator_set import ValidatorSet
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

    def get_header(self, height: Height) -> Header | None: ...

    def get_validator_set(self, epoch: Epoch) -> ValidatorSet | None: ...

    def get_first_height(self) -> Height: ...


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

    def answer_blocks_request(self, from_height: Height, count: int) -> BlocksReply | BlocksPruned:
        """Finalized blocks from `from_height` within its epoch, and the certificate of the last of them."""
        first = self._archive.get_first_height()
        if 0 < from_height < first:
            return BlocksPruned(first)
        return BlocksReply(*self._find_blocks(from_height, count))

    def _find_blocks(self, from_height: Height, count: int) -> tuple[tuple[Block, ...], Certificate | None]:
        head = self._ledger.finalized.header.height
        if not 0 < from_height <= head:
            return (), None
        last = self._epochs.compute_last_height(self._epochs.compute_epoch(from_height))
        return build_reply(self._archive, from_height, count, min(head, last))

    def find_handover(self, epoch: Epoch) -> Certificate | None:
        """The finalization of the last block of an epoch that is over."""
        return self._archive.get_certificate(self._epochs.compute_last_height(epoch))

    def find_anchor_time(self, epoch: Epoch) -> TimestampMs | None:
        """The time of the last block before `epoch`, if it is known here."""
        height = self._epochs.compute_anchor_height(epoch)
        finalized = self._ledger.finalized.header
        header = finalized if height == finalized.height else self._archive.get_header(height)
        return None if header is None else header.timestamp_ms

    def get_anchor_hash(self, epoch: Epoch) -> Hash:
        """The hash of the last block before `epoch`, which is finalized."""
        height = self._epochs.compute_anchor_height(epoch)
        finalized = self._ledger.finalized
        if height == finalized.header.height:
            return finalized.block_hash
        header = self._archive.get_header(height)
        invariant(header is not None, "the archive holds the anchor of the open epoch", height=height)
        return compute_block_hash(header)  # type: ignore[arg-type]
