"""The real host of a replica: performs its effects on this machine's clock, disk and sockets.

One event at a time, and all effects of one before the next: what must be on disk is written and synced right there, so
it precedes every send that follows it. Decides nothing. A fault of our own disk, or a mistake of our own, stops the
node; nothing that a peer sends does.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from flockchain.consensus.guard import GUARD_RECORD, keep_from_epoch
from flockchain.consensus.quarantine import Signing
from flockchain.duties import DutyResult
from flockchain.gossip.messages import (
    ADDRESS_BYTES_MAX,
    MessageKind,
    Neighbour,
    NeighboursMessage,
    decode_message,
    encode_message,
)
from flockchain.node.clock import HostClock
from flockchain.node.handshake import RemotePeer
from flockchain.node.links import LinkEnd
from flockchain.node.metrics import NodeCounters
from flockchain.node.snapshots import SnapshotKeeper
from flockchain.node.standing import Misdeed
from flockchain.node.transport import Transport
from flockchain.node.workbench import Workbench
from flockchain.primitives.errors import InvalidInput, Refused, invariant
from flockchain.primitives.numbers import Epoch, NodeId
from flockchain.replica import effects as out
from flockchain.replica import events
from flockchain.replica.replica import Replica
from flockchain.rpc.heads import HeadBroadcast
from flockchain.storage.archive import Archive
from flockchain.storage.journals import Journals

__all__ = ["Host"]


class Host:
    """Drives one replica. `failed` completes with the error that must stop the node."""

    def __init__(
        self, replica: Replica, archive: Archive, journals: Journals, heads: HeadBroadcast, counters: NodeCounters,
        clock: HostClock, log: Any,
    ) -> None:  # fmt: skip
        self.replica = replica
        self.counters = counters
        self.epoch = Epoch(0)
        self.failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self._archive = archive
        self._journals = journals
        self._heads = heads
        self._clock = clock
        self._log = log
        self._transport: Transport | None = None
        self._workbench: Workbench | None = None
        self._keeper: SnapshotKeeper | None = None
        self._rebuild: Callable[[], Replica] | None = None
        self._installing: asyncio.Task[None] | None = None
        self._events: deque[events.ReplicaEvent] = deque()
        self._timers: dict[Any, asyncio.TimerHandle] = {}
        self._is_busy = False
        self._is_stopped = False

    def connect(
        self, transport: Transport, workbench: Workbench, keeper: SnapshotKeeper | None = None,
        rebuild: Callable[[], Replica] | None = None,
    ) -> None:  # fmt: skip
        """Where sends, work orders and snapshots go; `rebuild` makes a replica of what is on disk."""
        self._transport = transport
        self._workbench = workbench
        self._keeper = keeper
        self._rebuild = rebuild

    def start(self) -> None:
        """The first event: everything is ready to perform effects."""
        self.handle(events.Started())

    def stop(self) -> None:
        """Hand in no more events."""
        self._is_stopped = True
        for handle in self._timers.values():
            handle.cancel()
        self._timers.clear()
        self._events.clear()

    def handle(self, event: events.ReplicaEvent) -> None:
        """Hand in one event and perform what follows; events that arise meanwhile wait for their turn."""
        if self._installing is not None:
            return  # the replica that this was meant for is gone, and the next one is not there yet
        self._events.append(event)
        if self._is_busy:
            return
        self._is_busy = True
        try:
            while self._events and not self._is_stopped:
                for effect in self._decide(self._events.popleft()):
                    _PERFORM[type(effect)](self, effect)
        except Exception as error:  # our own disk, or our own mistake
            self.stop()
            if not self.failed.done():
                self.failed.set_result(error)
        finally:
            self._is_busy = False

    def _decide(self, event: events.ReplicaEvent) -> list[out.ReplicaEffect]:
        """The replica's effects. It is not to raise for what a peer sends; should it, the peer pays for it."""
        try:
            return self.replica.on_event(event, self._clock.now_ms())
        except (InvalidInput, Refused) as error:
            if not isinstance(event, events.MessageReceived):
                raise
            self._log.error("a peer's message raised", peer=event.peer, error=repr(error))
            return [out.Penalise(event.peer, str(error))]

    # What the transport hears

    def on_peer_connected(self, peer: RemotePeer) -> None:
        self._log.info("peer connected", peer=peer.node_id, address=peer.address)
        self.handle(events.PeerConnected(peer.node_id))

    def on_peer_message(self, peer: NodeId, payload: bytes) -> None:
        if payload[0] == MessageKind.NEIGHBOURS:
            self._discover(peer, payload)
        self.handle(events.MessageReceived(peer, payload))

    def on_peer_gone(self, peer: NodeId, why: LinkEnd, details: str) -> None:
        self.counters.on_link_end(why.name)
        self._log.info("peer gone", peer=peer, reason=why.value, **({"details": details} if details else {}))
        self.handle(events.PeerGone(peer))

    def on_peer_refused(self, address: str, reason: str) -> None:
        self.counters.peers_refused += 1
        self._log.info("peer refused", address=address, reason=reason)

    def on_peer_misdeed(self, peer: NodeId, misdeed: Misdeed, reason: str) -> None:
        self.counters.on_misdeed(misdeed.name)
        self._log.warning("peer misbehaved", peer=peer, kind=misdeed.name, reason=reason)

    def on_banned(self, peer: NodeId, host: str, what: str) -> None:
        self.counters.on_ban(what)
        self._log.warning("banned", what=what, peer=peer, host=host)

    def on_message_dropped(self, peer: NodeId, channel: str) -> None:
        self.counters.on_drop(channel)

    def on_peer_file_trouble(self, reason: str) -> None:
        self._log.warning("what is kept of peers was not read or written", reason=reason)

    def on_work_done(self, result: DutyResult) -> None:
        """The workbench answers an order."""
        self.handle(events.WorkDone(result))

    def _discover(self, source: NodeId, payload: bytes) -> None:
        """Learn addresses from a neighbour's list. The replica judges the message itself."""
        try:
            message = decode_message(payload)
        except InvalidInput:
            return
        if isinstance(message, NeighboursMessage) and self._transport is not None:
            for neighbour in message.neighbours:
                self._transport.discover(source, neighbour.node_id, neighbour.address)

    # Effects

    def _persist_vote(self, effect: out.PersistVote) -> None:
        self._journals.append_vote(effect.record)
        self.counters.votes_persisted += 1

    def _persist_duty(self, effect: out.PersistDuty) -> None:
        duties = self.replica.participant.duties
        self._journals.append_duty(effect.record, duties.get_records if duties is not None else list)

    def _commit(self, effect: out.CommitBlocks) -> None:
        self._archive.commit(effect.build_commits(), effect.certificate, self._journals.vote_mark)
        self._journals.compact_votes(lambda: map(GUARD_RECORD.encode, self.replica.core.get_guard_records()))
        now_ms = self._clock.now_ms()
        for executed in effect.executed:
            header = executed.header
            self.counters.blocks_finalized += 1
            self.counters.extrinsics_finalized += len(executed.block.extrinsics)
            self.counters.on_finality(max(0, now_ms - header.timestamp_ms))
            self._heads.publish(header.height)
        self._log.debug(
            "finalized", height=header.height, view=header.view, hash=executed.block_hash,
            extrinsics=len(executed.block.extrinsics), learning=len(executed.block.learning),
        )  # fmt: skip

    def _send(self, effect: out.SendMessage) -> None:
        if self._transport is None:
            return
        payload = effect.payload
        if payload[0] == MessageKind.NEIGHBOURS:
            payload = self._add_addresses(payload)
        self._transport.send(effect.peers, payload)

    def _add_addresses(self, payload: bytes) -> bytes:
        """The replica knows its neighbours by identity; only the transport knows where they listen."""
        message = decode_message(payload)
        if not isinstance(message, NeighboursMessage) or self._transport is None:
            return payload
        addresses = {peer.node_id: peer.address for peer in self._transport.peers}
        neighbours = tuple(
            Neighbour(neighbour.node_id, addresses.get(neighbour.node_id, "")[:ADDRESS_BYTES_MAX])
            for neighbour in message.neighbours
        )
        return encode_message(NeighboursMessage(neighbours))

    def _set_timer(self, effect: out.SetTimer) -> None:
        running = self._timers.pop(effect.timer, None)
        if running is not None:
            running.cancel()
        loop = asyncio.get_running_loop()
        self._timers[effect.timer] = loop.call_later(effect.after_ms / 1000, self._fire, effect.timer)

    def _fire(self, timer: Any) -> None:
        self._timers.pop(timer, None)
        self.handle(events.TimerFired(timer))

    def _work(self, effect: out.Work) -> None:
        if self._workbench is not None:
            self._workbench.take(effect.order)

    def _keep(self, effect: out.TakeSnapshot | out.PruneBlocks | out.KeepEpochEnds | out.KeepChunk) -> None:
        if self._keeper is not None:
            _KEEP[type(effect)](self._keeper, effect)

    def _install(self, effect: out.InstallSnapshot) -> None:
        """The replica has ended; another takes its place when the snapshot is in the archive."""
        self._log.info("installing a snapshot", height=effect.plan.info.height, chunks=effect.plan.info.chunk_count)
        for handle in self._timers.values():
            handle.cancel()
        self._timers.clear()
        self._events.clear()
        self._installing = asyncio.get_running_loop().create_task(self._replace(effect))

    async def _replace(self, effect: out.InstallSnapshot) -> None:
        try:
            invariant(self._keeper is not None and self._rebuild is not None, "this host can install a snapshot")
            if not await self._keeper.install(effect):  # type: ignore[union-attr]
                self._log.warning("chunks of the snapshot were damaged on disk and are fetched again")
            self.replica = await asyncio.to_thread(self._rebuild)  # type: ignore[arg-type]
        except Exception as error:
            self._installing = None
            self.stop()
            if not self.failed.done():
                self.failed.set_result(error)
            return
        self._installing = None
        if self._is_stopped:
            return
        head = self.replica.ledger.finalized.header
        self._log.info("goes on", height=head.height, epoch=self.replica.epoch)
        self._heads.publish(head.height)
        self.handle(events.Started())
        for peer in self._transport.peers if self._transport is not None else ():
            self.handle(events.PeerConnected(peer.node_id))

    async def finish_installing(self) -> None:
        """Wait for an installation that is under way: the store must not be closed under it."""
        if self._installing is not None:
            await asyncio.gather(self._installing, return_exceptions=True)

    def _note_joining(self, effect: out.JoiningFailed) -> None:
        self._log.info("no snapshot to join by, fetching blocks", reason=effect.reason)

    def _penalise(self, effect: out.Penalise) -> None:
        if self._transport is not None:
            self._transport.penalise(effect.peer, effect.reason)

    def _note_view(self, effect: out.ViewEntered) -> None:
        self.counters.views_entered += 1
        if effect.epoch != self.epoch:
            self.epoch = effect.epoch
            self._journals.on_epoch(lambda records: keep_from_epoch(records, effect.epoch))

    def _note_signing(self, effect: out.SigningChanged) -> None:
        signing = effect.signing
        if signing is Signing.STOPPED:
            self._log.error(
                "another node signs with this validator's key, or this folder is an old copy: this node signs nothing "
                "more. Stop the other node, then start this one with --accept-restored",
            )  # fmt: skip
        else:
            self._log.log(logging.INFO if signing is Signing.FREE else logging.WARNING, "signing", state=signing.value)

    def _note_refusal(self, effect: out.BlockRefused) -> None:
        self.counters.blocks_refused += 1
        self._log.warning("block refused", hash=effect.block_hash, reason=effect.reason)


_KEEP: Final[Mapping[type, Callable[[SnapshotKeeper, Any], None]]] = {
    out.TakeSnapshot: SnapshotKeeper.take,
    out.PruneBlocks: SnapshotKeeper.prune,
    out.KeepEpochEnds: SnapshotKeeper.keep_epoch_ends,
    out.KeepChunk: SnapshotKeeper.keep_chunk,
}

_PERFORM: Final[Mapping[type, Callable[[Host, Any], None]]] = {
    out.PersistVote: Host._persist_vote,
    out.PersistDuty: Host._persist_duty,
    out.CommitBlocks: Host._commit,
    out.SendMessage: Host._send,
    out.SetTimer: Host._set_timer,
    out.Work: Host._work,
    **dict.fromkeys(_KEEP, Host._keep),
    out.InstallSnapshot: Host._install,
    out.JoiningFailed: Host._note_joining,
    out.Penalise: Host._penalise,
    out.ViewEntered: Host._note_view,
    out.BlockRefused: Host._note_refusal,
    out.SigningChanged: Host._note_signing,
}
