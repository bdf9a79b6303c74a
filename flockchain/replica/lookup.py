"""What this node answers to peers that join by a snapshot, and to light clients among them.

Reads the archive and the shelf of snapshots; changes nothing. A question that cannot be answered gets an empty answer.
"""

from __future__ import annotations

from typing import Protocol

from flockchain.gossip import messages as wire
from flockchain.light.light_block import LightBlock
from flockchain.primitives.block import Header
from flockchain.primitives.limits import LIGHT_BLOCKS_PER_REPLY_MAX, SNAPSHOTS_PER_OFFER_MAX
from flockchain.primitives.numbers import U64_MAX, Epoch, Height
from flockchain.primitives.validator_set import VALIDATOR_SET, ValidatorSet
from flockchain.primitives.vote import Certificate
from flockchain.replica.epochs import Epochs
from flockchain.replica.participant import Participant
from flockchain.runtime.ledger import Ledger
from flockchain.runtime.views import find_fixed_sets
from flockchain.storage.snapshot_shelf import SnapshotShelf

__all__ = ["EpochEnds", "Lookup"]


class EpochEnds(Protocol):
    """The archive's side of light blocks."""

    def get_header(self, height: Height) -> Header | None: ...

    def get_certificate(self, height: Height) -> Certificate | None: ...

    def get_validator_set(self, epoch: Epoch) -> ValidatorSet | None: ...


class Lookup:
    """Snapshots, chunks and epochs' ends."""

    def __init__(self, archive: EpochEnds, ledger: Ledger, epochs: Epochs, offered: SnapshotShelf) -> None:
        self._archive = archive
        self._ledger = ledger
        self._epochs = epochs
        self._offered = offered

    @classmethod
    def open(cls, participant: Participant, ledger: Ledger) -> Lookup:
        """Over what a participant has."""
        return cls(participant.archive, ledger, participant.epochs, participant.offered)

    def list_snapshots(self) -> wire.SnapshotsReply:
        """The newest snapshots, ascending by height."""
        return wire.SnapshotsReply(self._offered.list_whole()[-SNAPSHOTS_PER_OFFER_MAX:])

    def find_chunk(self, height: Height, index: int) -> wire.ChunkReply:
        """One chunk of a whole snapshot, or an empty answer."""
        is_whole = any(info.height == height for info in self._offered.list_whole())
        return wire.ChunkReply(height, index, (self._offered.get_chunk(height, index) if is_whole else None) or b"")

    def find_light_blocks(self, from_epoch: Epoch, count: int) -> wire.LightBlocksReply:
        """The ends of consecutive epochs, until one is not here."""
        found: list[LightBlock] = []
        while len(found) < min(count, LIGHT_BLOCKS_PER_REPLY_MAX):
            light_block = self.find_light_block(Epoch(from_epoch + len(found)))
            if light_block is None:
                break
            found.append(light_block)
        return wire.LightBlocksReply(tuple(found))

    def find_light_block(self, epoch: Epoch) -> LightBlock | None:
        """The last block of an epoch with its certificate and its validators."""
        height = self._epochs.compute_last_height(epoch)
        if height > U64_MAX:
            return None
        header, certificate = self._archive.get_header(height), self._archive.get_certificate(height)
        validators = self._find_validators(epoch)
        if header is None or certificate is None or validators is None:
            return None
        return LightBlock(header, certificate, validators)

    def _find_validators(self, epoch: Epoch) -> ValidatorSet | None:
        found = self._epochs.find_validators(self._ledger.finalized.state, epoch)
        if found is None:
            found = self._archive.get_validator_set(epoch)
        if found is None:
            first = find_fixed_sets(self._ledger.executive.runtime.genesis_changes).get(epoch)
            found = None if first is None else VALIDATOR_SET.decode(first)
        return found
