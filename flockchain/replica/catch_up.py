"""How this participant catches up: the sync core's wishes, performed on the ledger, a bounded slice at a time.

Knows which certificates verify under the sets that our finalized state knows. Does not know which peer to
ask for what: the sync cores do. Far behind, a snapshot of the state is looked for first (`joining`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flockchain.consensus import events as core
from flockchain.crypto.voting import verify_certificate
from flockchain.gossip import messages as wire
from flockchain.primitives.block import Block
from flockchain.primitives.errors import InvalidInput, Refused
from flockchain.primitives.numbers import Height, NodeId
from flockchain.primitives.vote import Certificate
from flockchain.replica.joining import Joining
from flockchain.replica.ticks import ApplyTick
from flockchain.replica.upkeep import compute_upkeep
from flockchain.runtime.ledger import FinalBlockNotExecuted, WrongStateRoot
from flockchain.sync import core as sync

if TYPE_CHECKING:
    from flockchain.replica.replica import Replica

__all__ = ["CatchUp"]

_FRESH_MS: Final = 5_000  # the age of a head that cannot be far from the network's
_SLICE_ITEMS: Final = 64  # extrinsics and learning items that are executed at once: some tens of milliseconds
_ITEMS_PER_BLOCK: Final = 4  # what an empty block costs, in items


@dataclass(slots=True)
class _Applying:
    """A span of certified blocks in the middle of its execution."""

    effect: sync.ApplyBlocks
    executed: int = 0


class CatchUp:
    """The sync side of a replica."""

    def __init__(self, replica: Replica, now_ms: int) -> None:
        self._replica = replica
        head = replica.ledger.finalized
        self._core = sync.SyncCore(
            replica.participant.sync_config, self._verify_certificate, head.header.height, head.block_hash, now_ms
        )
        self._applying: _Applying | None = None
        self.joining = Joining(replica, self._pause)

    @property
    def is_syncing(self) -> bool:
        """Whether blocks or a snapshot are being fetched now."""
        return self._core.is_syncing or self.joining.is_active

    @property
    def is_live(self) -> bool:
        """Whether our head is about where the network is: nobody claims to be far ahead, or it is of just now.

        A claim is nobody's proof, so alone it must not keep us from our duties.
        """
        replica = self._replica
        head = replica.ledger.finalized.header
        behind = self._core.best_height - head.height
        return behind < replica.participant.sync_config.lag_blocks or replica.now_ms - head.timestamp_ms <= _FRESH_MS

    def on_tick(self) -> None:
        self.joining.on_tick(self._core.best_height, is_cut_off=self._core.is_cut_off)
        self._perform(self._core.on_timer(self._replica.now_ms))

    def on_head(self) -> None:
        """Our finalized head moved: what follows for the archive, then for the way to the network's head."""
        head = self._replica.ledger.finalized
        self._replica.outbox.add(*compute_upkeep(self._replica.participant, head, is_live=self.is_live))
        self._tell_head()

    def _tell_head(self) -> None:
        head = self._replica.ledger.finalized
        self._perform(self._core.on_head(head.header.height, head.block_hash, self._replica.now_ms))

    def on_status(self, peer: NodeId, height: Height) -> None:
        effects = self._core.on_status(peer, height, self._replica.now_ms)
        self.joining.on_tick(self._core.best_height, is_cut_off=self._core.is_cut_off)
        self._perform(effects if not self.joining.is_active else ())

    def on_blocks(self, peer: NodeId, reply: wire.BlocksReply) -> None:
        self._perform(self._core.on_blocks(peer, reply.blocks, reply.certificate, self._replica.now_ms))

    def on_pruned(self, peer: NodeId, message: wire.BlocksPruned) -> None:
        self._perform(self._core.on_pruned(peer, message.first_height, self._replica.now_ms))

    def on_peer_gone(self, peer: NodeId) -> None:
        self.joining.on_peer_gone(peer)
        self._perform(self._core.on_peer_gone(peer, self._replica.now_ms))

    def on_apply_tick(self) -> None:
        """Execute the next slice of the span that is being applied."""
        applying = self._applying
        if applying is None:
            return
        try:
            self._execute_slice(applying)
        except WrongStateRoot as error:  # certified header, its own body: what differs is how we execute it
            raise FinalBlockNotExecuted(
                "this node's execution gives another state than the network's: is it an old release?", **error.values
            ) from error
        except (InvalidInput, Refused) as error:
            self._applying = None
            self._perform(self._core.on_apply_failed(applying.effect.peer, str(error), self._replica.now_ms))
            return
        if applying.executed < len(applying.effect.blocks):
            self._replica.outbox.set_timer(ApplyTick(), 0)
            return
        self._applying = None
        self._finish(applying.effect)

    def _pause(self, is_paused: bool) -> None:
        self._core.is_paused = is_paused

    def _perform(self, effects: Iterable[sync.SyncEffect]) -> None:
        for effect in effects:
            if isinstance(effect, sync.RequestBlocks):
                self._replica.outbox.send(effect.peer, wire.BlocksRequest(effect.from_height, effect.count))
            elif isinstance(effect, sync.BlamePeer):
                self._replica.outbox.penalise(effect.peer, effect.reason)
            else:
                self._applying = _Applying(effect)
                self._replica.outbox.set_timer(ApplyTick(), 0)

    def _execute_slice(self, applying: _Applying) -> None:
        ledger = self._replica.ledger
        blocks = applying.effect.blocks
        items = 0
        while applying.executed < len(blocks) and items < _SLICE_ITEMS:
            block = blocks[applying.executed]
            if block.header.height > ledger.finalized.header.height:  # consensus may have been faster
                ledger.execute_final(block)
                items += _count_items(block)
            applying.executed += 1

    def _finish(self, effect: sync.ApplyBlocks) -> None:
        replica = self._replica
        if replica.ledger.finalized.header.height >= effect.blocks[-1].header.height:
            self._tell_head()
            return
        replica.own_votes.on_synced()
        before = replica.core
        replica.commit(replica.ledger.finalize(effect.block_hashes[-1]), effect.certificate)
        if before is replica.core:
            replica.tell_core(core.SyncedTo(effect.blocks[-1], effect.certificate))

    def _verify_certificate(self, certificate: Certificate) -> bool:
        participant = self._replica.participant
        validators = participant.epochs.find_validators(self._replica.ledger.finalized.state, certificate.epoch)
        return validators is not None and verify_certificate(
            participant.bls, participant.genesis_hash, validators, certificate
        )


def _count_items(block: Block) -> int:
    return _ITEMS_PER_BLOCK + len(block.extrinsics) + len(block.learning)
