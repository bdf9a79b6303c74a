"""How this participant joins by a snapshot: the snapshot core's wishes as messages and effects.

Knows where trust begins (our finalized head, or what an earlier start verified beyond it) and when a snapshot is worth
looking for: after an install the rest comes by blocks, however far the chain ran on meanwhile, or a chain that is
quicker than installs would have us join for ever. Does not know which peer to ask for what: the core does. With
`InstallSnapshot` this replica ends; the host makes a new one from what is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from flockchain.gossip import messages as wire
from flockchain.light.client import LightClient, LightConfig
from flockchain.light.light_block import LightBlock, find_mismatch
from flockchain.light.trust_store import TrustedHeader
from flockchain.primitives.errors import invariant
from flockchain.primitives.numbers import Epoch, Height, NodeId
from flockchain.replica import effects as out
from flockchain.replica.lookup import Lookup
from flockchain.sync import core as sync
from flockchain.sync import snapshots

if TYPE_CHECKING:
    from flockchain.replica.replica import Replica

__all__ = ["Joining"]

# Blocks of any age are applied by their certificates; a snapshot asks for no more trust than they do.
_TRUSTING_PERIOD_MS: Final = 2**62


class Joining:
    """The snapshot side of catching up."""

    def __init__(self, replica: Replica, pause_blocks: Callable[[bool], None]) -> None:
        self._replica = replica
        self._pause_blocks = pause_blocks
        self._core: snapshots.SnapshotCore | None = None
        self._installed = _find_installed(replica)

    @property
    def is_active(self) -> bool:
        """Whether a snapshot is looked for or fetched."""
        return self._core is not None and self._core.is_active

    def on_tick(self, best_height: Height, *, is_cut_off: bool) -> None:
        """Time has passed: begin if we are far behind, or if nobody has our next block any more."""
        replica = self._replica
        if self._core is not None and self._core.is_active:
            self._perform(self._core.on_timer(replica.now_ms))
            return
        config = replica.participant.snapshot_config
        height = replica.ledger.finalized.header.height
        is_far = best_height - height >= config.lag_blocks
        if self._installed is not None and height > self._installed and not is_far:
            self._installed = None
        if not config.is_enabled or not (is_cut_off or (is_far and self._installed is None)):
            return
        if self._core is None:
            self._core = self._open_core(config)
        least = height + (1 if is_cut_off else max(1, config.lag_blocks // 2))
        self._perform(self._core.begin(replica.relay.peers, Height(least), replica.now_ms))
        self._pause_blocks(self._core.is_active)

    def on_peer_connected(self, peer: NodeId) -> None:
        if self._core is not None:
            self._perform(self._core.on_peer_connected(peer))

    def on_peer_gone(self, peer: NodeId) -> None:
        if self._core is not None:
            self._perform(self._core.on_peer_gone(peer, self._replica.now_ms))

    def on_message(self, peer: NodeId, message: Any) -> None:
        """An answer to one of our questions; nobody asked: nothing happens."""
        if self._core is None:
            return
        now_ms = self._replica.now_ms
        if isinstance(message, wire.SnapshotsReply):
            self._perform(self._core.on_offers(peer, message.snapshots, now_ms))
        elif isinstance(message, wire.LightBlocksReply):
            self._perform(self._core.on_epoch_ends(peer, message.light_blocks, now_ms))
        elif isinstance(message, wire.BlockReply):
            self._perform(self._core.on_block(peer, message.block, now_ms))
        elif isinstance(message, wire.ChunkReply):
            self._perform(self._core.on_chunk(peer, message.height, message.index, message.data, now_ms))

    def _open_core(self, config: snapshots.SnapshotConfig) -> snapshots.SnapshotCore:
        participant = self._replica.participant
        partial = participant.fetched.find_partial()
        trusted, light_block = self._find_trust(config, None if partial is None else partial.height)
        client = LightClient(LightConfig(participant.genesis_hash, participant.bls, _TRUSTING_PERIOD_MS), trusted)
        chunks = frozenset[int]() if partial is None else participant.fetched.list_chunks(partial)
        return snapshots.SnapshotCore(config, client, participant.epochs, light_block, partial, chunks)

    def _find_trust(
        self, config: snapshots.SnapshotConfig, most: Height | None
    ) -> tuple[TrustedHeader, LightBlock | None]:
        """Our head; or the last of the epochs' ends that follow it without a gap and were kept, up to height `most`."""
        replica = self._replica
        epochs, lookup = replica.participant.epochs, Lookup.open(replica.participant, replica.ledger)
        head = replica.ledger.finalized
        validators = epochs.find_validators(head.state, head.header.epoch)
        invariant(validators is not None, "the state knows its own epoch's validators", epoch=head.header.epoch)
        trusted, light_block = TrustedHeader(head.header, validators), None  # type: ignore[arg-type]
        epoch = epochs.compute_open_epoch(head.header.height)
        checkpoint = config.checkpoint
        if checkpoint is not None and checkpoint.height > head.header.height:
            epoch = epochs.compute_epoch(checkpoint.height)
        while most is None or epochs.compute_last_height(epoch) <= most:
            kept = lookup.find_light_block(epoch)
            if kept is None or not _is_next(trusted, kept, checkpoint):
                break
            trusted, light_block = TrustedHeader(kept.header, kept.validators), kept
            epoch = Epoch(epoch + 1)
        return trusted, light_block

    def _perform(self, effects: Iterable[snapshots.SnapshotEffect]) -> None:
        replica = self._replica
        for effect in effects:
            if isinstance(effect, snapshots.AskSnapshots):
                replica.outbox.send(effect.peer, wire.SnapshotsRequest())
            elif isinstance(effect, snapshots.AskEpochEnds):
                replica.outbox.send(effect.peer, wire.LightBlocksRequest(effect.from_epoch, effect.count))
            elif isinstance(effect, snapshots.AskBlock):
                replica.outbox.send(effect.peer, wire.BlockRequest(effect.block_hash))
            elif isinstance(effect, snapshots.AskChunk):
                replica.outbox.send(effect.peer, wire.ChunkRequest(effect.height, effect.index))
            elif isinstance(effect, snapshots.KeepEpochEnds):
                replica.outbox.add(out.KeepEpochEnds(effect.light_blocks))
            elif isinstance(effect, snapshots.KeepChunk):
                replica.outbox.add(out.KeepChunk(effect.info, effect.index, effect.data))
            elif isinstance(effect, snapshots.Install):
                self._install(effect)
            elif isinstance(effect, sync.BlamePeer):
                replica.outbox.penalise(effect.peer, effect.reason)
            else:
                replica.outbox.add(out.JoiningFailed(effect.reason))
                self._pause_blocks(False)

    def _install(self, effect: snapshots.Install) -> None:
        """Unless consensus brought us there while the chunks came: a head never falls, nor is it put there twice."""
        if effect.info.height > self._replica.ledger.finalized.header.height:
            self._replica.outbox.add(self._build_install(effect))
            return
        self._core = None
        self._pause_blocks(False)

    def _build_install(self, effect: snapshots.Install) -> out.InstallSnapshot:
        runtime = self._replica.ledger.executive.runtime
        return out.InstallSnapshot(
            out.InstallPlan(
                runtime.genesis_hash, runtime.genesis_block, effect.info, effect.block, effect.light_block.certificate
            )
        )


def _is_next(trusted: TrustedHeader, kept: LightBlock, checkpoint: snapshots.Checkpoint | None) -> bool:
    """Whether an epoch's end, whose certificate was verified when it came, follows what is trusted now.

    An earlier start may have followed another chain than the one that the operator has named since.
    """
    header = kept.header
    if find_mismatch(kept) is not None:
        return False
    if checkpoint is not None and header.height == checkpoint.height:
        return kept.block_hash == checkpoint.block_hash
    is_same = header.epoch == trusted.header.epoch
    named = trusted.header.validators_hash if is_same else trusted.header.next_validators_hash
    return header.validators_hash == named


def _find_installed(replica: Replica) -> Height | None:
    """The head's height if a snapshot was put there and nothing was executed since.

    A snapshot of the first block skips nothing: it looks like that block alone.
    """
    height = replica.ledger.finalized.header.height
    is_bare = replica.participant.archive.get_first_height() >= height > 1
    return height if is_bare else None
