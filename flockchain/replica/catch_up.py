"""How this participant catches up: the sync core's wishes, performed on the ledger.

Knows which certificates verify under the sets that our finalized state knows. Does not know which peer to
ask for what: the sync core does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from flockchain.consensus import events as core
from flockchain.crypto.voting import verify_certificate
from flockchain.gossip import messages as wire
from flockchain.primitives.errors import InvalidInput, Refused
from flockchain.primitives.numbers import Height, NodeId
from flockchain.primitives.vote import Certificate
from flockchain.sync import core as sync

if TYPE_CHECKING:
    from flockchain.replica.replica import Replica

__all__ = ["CatchUp"]

_FRESH_MS: Final = 5_000  # the age of a head that cannot be far from the network's


class CatchUp:
    """The sync side of a replica."""

    def __init__(self, replica: Replica, now_ms: int) -> None:
        self._replica = replica
        head = replica.ledger.finalized
        self._core = sync.SyncCore(
            replica.participant.sync_config, self._verify_certificate, head.header.height, head.block_hash, now_ms
        )

    @property
    def is_syncing(self) -> bool:
        """Whether blocks are being fetched now."""
        return self._core.is_syncing

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
        self._perform(self._core.on_timer(self._replica.now_ms))

    def on_head(self) -> None:
        """Our finalized head moved."""
        head = self._replica.ledger.finalized
        self._perform(self._core.on_head(head.header.height, head.block_hash, self._replica.now_ms))

    def on_status(self, peer: NodeId, height: Height) -> None:
        self._perform(self._core.on_status(peer, height, self._replica.now_ms))

    def on_blocks(self, peer: NodeId, reply: wire.BlocksReply) -> None:
        self._perform(self._core.on_blocks(peer, reply.blocks, reply.certificate, self._replica.now_ms))

    def on_peer_gone(self, peer: NodeId) -> None:
        self._perform(self._core.on_peer_gone(peer, self._replica.now_ms))

    def _perform(self, effects: Iterable[sync.SyncEffect]) -> None:
        for effect in effects:
            if isinstance(effect, sync.RequestBlocks):
                self._replica.outbox.send(effect.peer, wire.BlocksRequest(effect.from_height, effect.count))
            elif isinstance(effect, sync.BlamePeer):
                self._replica.outbox.penalise(effect.peer, effect.reason)
            else:
                self._apply(effect)

    def _apply(self, effect: sync.ApplyBlocks) -> None:
        replica = self._replica
        try:
            for block in effect.blocks:
                replica.ledger.execute(block)
        except (InvalidInput, Refused) as error:
            self._perform(self._core.on_apply_failed(effect.peer, str(error), replica.now_ms))
            return
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
