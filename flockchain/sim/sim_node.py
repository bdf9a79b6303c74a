"""A participant of a simulated world: the production replica on a seeded clock, disk and network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any, Final

from flockchain.consensus.config import ConsensusKeys
from flockchain.consensus.guard import GUARD_RECORD, keep_from_epoch
from flockchain.duties import DutyKeys
from flockchain.primitives.errors import Fault
from flockchain.primitives.numbers import ZERO_HASH, AccountId, Epoch, Hash, NodeId
from flockchain.replica import effects as out
from flockchain.replica import events
from flockchain.replica.assembly import assemble_replica
from flockchain.replica.epochs import Identity
from flockchain.replica.replica import Replica
from flockchain.replica.steady_clock import SteadyClock
from flockchain.runtime.dev_keys import ValidatorSecrets
from flockchain.sim.sim_disk import Tear
from flockchain.sim.sim_folder import SimFolder
from flockchain.sim.sim_store import PowerLossError
from flockchain.sim.twins import Twin
from flockchain.storage.archive import PRUNED_AT_ONCE, Archive
from flockchain.storage.snapshot_install import install_snapshot
from flockchain.storage.snapshot_shelf import MemoryShelf, write_snapshot

if TYPE_CHECKING:
    from flockchain.sim.adversaries import Adversary
    from flockchain.sim.world import World

__all__ = ["SimNode"]

_NS_PER_MS: Final = 1_000_000


class SimNode:
    """What survives a crash (`folder`, `blobs`) and what does not (`replica`, its timers)."""

    def __init__(self, world: World, secrets: ValidatorSecrets, adversary: Adversary | None) -> None:
        self.world = world
        self.secrets = secrets
        self.node_id: NodeId = secrets.node_id
        self.account: AccountId = secrets.account
        self.consensus_key = secrets.get_consensus_key(world.bls)
        self.adversary = adversary
        self.bls = world.bls
        self.folder = SimFolder(Random(f"{world.seed} {self.node_id.hex()}"))
        self.offered, self.fetched = MemoryShelf(), MemoryShelf()  # snapshots
        self.blobs: set[Hash] = set()  # what the blob store holds
        self.replica: Replica | None = None
        self.life = 0  # counts restarts: what was meant for an earlier life is void
        self.refused: list[out.BlockRefused] = []
        self.is_voting = True  # without its keys it follows the chain and signs nothing
        self.clock_error_ms = 0  # how far its machine's clock is ahead
        self._clock = SteadyClock()
        self._is_off = False
        self._paused_until_ms = 0
        self._waiting: list[Callable[[], None]] = []  # what happened while the process was paused
        self._epoch = Epoch(0)
        self._timers: dict[Any, int] = {}
        self._timers_set = 0

    @property
    def archive(self) -> Archive:
        return self.folder.archive

    @property
    def vote_journal(self) -> tuple[bytes, ...]:
        """What its vote journal holds while it is open."""
        return self.folder.journals.vote_records if self.folder.journals is not None else ()

    @property
    def genesis_hash(self) -> Hash:
        return self.archive.get_genesis_hash() or ZERO_HASH

    @property
    def is_up(self) -> bool:
        return self.replica is not None

    @property
    def is_running(self) -> bool:
        """Whether it is up and not paused: somebody who asks gets an answer."""
        return self.is_up and not self._is_paused

    @property
    def is_silenced(self) -> bool:
        """Whether it is up and does not sign, because it may have forgotten what it signed."""
        return self.replica is not None and self.replica.own_votes.is_forgetful

    @property
    def now_ms(self) -> int:
        """The time as this node's process takes it to be."""
        real_ms = self.world.now_ms
        return self._clock.tell_ms((real_ms + self.clock_error_ms) * _NS_PER_MS, real_ms * _NS_PER_MS)

    @property
    def _is_paused(self) -> bool:
        return self.world.now_ms < self._paused_until_ms

    def get_height(self) -> int:
        """The height of the last block on disk."""
        head = self.archive.get_head()
        return head.height if head is not None else 0

    def find_seat(self) -> int | None:
        """The index of this node's validator in the set of the epoch that it is in, if it has a seat there."""
        return self.replica.core.validators.get_index_of(self.account) if self.replica is not None else None

    def boot(self) -> None:
        """Start, or start again from what the disk holds."""
        if self._is_off:
            return
        self.life += 1
        self._timers.clear()
        self._clock = SteadyClock()
        try:
            journals, marks = self.folder.open(self.now_ms)
        except Fault as fault:
            self.world.on_stopped(self, fault)
            return
        for mark in marks:
            self.world.mark(mark)
        keys = ConsensusKeys(self.secrets.consensus_secret) if self.is_voting else None
        identity = Identity(self.account, keys)
        self.replica = assemble_replica(
            self.world.genesis,
            self.bls,
            self.archive,
            identity,
            self.now_ms,
            vote_records=journals.vote_records,
            duty_keys=self._build_duty_keys(),
            duty_records=journals.duty_records,
            habits=replace(self.world.plan.habits, offered=self.offered, fetched=self.fetched),
            is_heedless=self.adversary is not None and not isinstance(self.adversary, Twin),
        )
        self.world.on_boot(self)
        self.handle(events.Started())
        for peer in self.world.get_neighbours(self):
            if peer.is_up:
                self.handle(events.PeerConnected(peer.node_id))
                peer.handle(events.PeerConnected(self.node_id))

    def crash(self) -> None:
        """Lose everything that is not on disk."""
        self.life += 1
        self.replica = None
        self._paused_until_ms = 0
        self._waiting.clear()
        lost = self.folder.disk.lost_syncs
        self.folder.crash()
        if self.folder.disk.lost_syncs > lost:
            self.world.mark("lost sync")
            self.world.on_forgotten(self)
        for peer in self.world.get_neighbours(self):
            if peer.is_up:
                peer.handle(events.PeerGone(self.node_id))

    def switch_off(self) -> None:
        """Stop, and stay down until it is switched on."""
        self._is_off = True
        if self.is_up:
            self.crash()

    def switch_on(self) -> None:
        """Start, if it is down."""
        self._is_off = False
        if not self.is_up:
            self.boot()

    def wipe(self) -> None:
        """Lose the disk, and with it the memory of what was signed: from now on it signs nothing."""
        self.folder.wipe()
        self.offered, self.fetched = MemoryShelf(), MemoryShelf()
        self.blobs.clear()
        self.is_voting = False

    def pause(self, until_ms: int) -> None:
        """The process stands still: what happens to it until then, it handles at that moment, in order."""
        if not self.is_up or until_ms <= self._paused_until_ms:
            return
        self._paused_until_ms = until_ms
        self.world.mark("pause")
        life = self.life
        self.world.schedule.add(until_ms - self.world.now_ms, lambda: self._resume(life))

    def wake(self) -> None:
        """End a pause before its time."""
        self._paused_until_ms = 0
        self._resume(self.life)

    def handle(self, event: events.ReplicaEvent) -> None:
        """Hand one event in and perform what comes out; a crash may be planned between any two effects."""
        if self.replica is None:
            return
        if self._is_paused:
            self._waiting.append(lambda: self.handle(event))
            return
        if isinstance(event, events.MessageReceived):
            self.world.audience.show_message(self, event.payload)
        try:
            effects = self.replica.on_event(event, self.now_ms)
        except Exception as error:  # whatever it is, it is a finding
            self.world.on_broken(self, error)
            return
        if self.adversary is not None:
            effects = self.adversary.apply(self, effects)
        life = self.life
        for effect in effects:
            if self.life != life:
                return  # a snapshot was installed: what was decided before it is void
            if self.world.is_crash_due(self, effect):
                self._fall(effect)
                return
            self.world.trace(self, effect)
            try:
                _PERFORM[type(effect)](self, effect)
            except Fault as fault:
                self.world.on_stopped(self, fault)
                return

    def deliver(self, life: int, event: events.ReplicaEvent) -> None:
        """An event that was meant for one life of this node."""
        if self.life == life:
            self.handle(event)

    def _fall(self, effect: out.ReplicaEffect) -> None:
        """Crash instead of performing `effect`, or in the middle of its write, if the disk is to tear it."""
        tear = self.folder.disk.tear
        if tear is not None and type(effect) in _WRITES:
            if tear is not Tear.NOTHING:
                self.world.trace(self, effect)  # it may be found at the next start
            with suppress(PowerLossError, Fault):  # a full disk takes nothing, torn or whole
                _PERFORM[type(effect)](self, effect)
        self.crash()
        self.world.on_forgotten(self)  # what the world saw and what the disk holds may be one write apart

    def _build_duty_keys(self) -> DutyKeys | None:
        if not self.is_voting:
            return None
        return DutyKeys(self.account, self.secrets.score_seed, self.secrets.certificate_secret)

    def _resume(self, life: int) -> None:
        """Handle what waits, unless the process was restarted or paused for longer meanwhile."""
        if self.life != life or self._is_paused:
            return
        waiting, self._waiting = self._waiting, []
        for action in waiting:
            if self.life == life:  # any of it may end this life
                action()

    def _persist_vote(self, effect: out.PersistVote) -> None:
        self.folder.require_journals().append_vote(effect.record)

    def _persist_duty(self, effect: out.PersistDuty) -> None:
        duties = self.replica.participant.duties if self.replica is not None else None
        self.folder.require_journals().append_duty(effect.record, duties.get_records if duties is not None else list)

    def _commit(self, effect: out.CommitBlocks) -> None:
        journals, replica = self.folder.require_journals(), self.replica
        self.archive.commit(effect.build_commits(), effect.certificate, journals.vote_mark)
        if replica is not None:
            journals.compact_votes(lambda: map(GUARD_RECORD.encode, replica.core.get_guard_records()))
        self.world.on_committed(self, effect)

    def _send(self, effect: out.SendMessage) -> None:
        for peer in effect.peers:
            self.world.send(self, peer, effect.payload)

    def _set_timer(self, effect: out.SetTimer) -> None:
        self._timers_set += 1
        mark = self._timers_set
        self._timers[effect.timer] = mark
        life = self.life

        def fire() -> None:
            if self._is_paused:
                self._waiting.append(fire)
            elif self.life == life and self._timers.get(effect.timer) == mark:
                del self._timers[effect.timer]
                self.handle(events.TimerFired(effect.timer))

        self.world.schedule.add(effect.after_ms, fire)

    def _note_refusal(self, effect: out.BlockRefused) -> None:
        self.refused.append(effect)

    def _note(self, effect: out.Penalise) -> None:
        self.world.on_noted(self, effect)

    def _note_view(self, effect: out.ViewEntered) -> None:
        if effect.epoch != self._epoch:
            self._epoch = effect.epoch
            self.folder.require_journals().on_epoch(lambda records: keep_from_epoch(records, effect.epoch))
        self.world.on_noted(self, effect)

    def _note_signing(self, effect: out.SigningChanged) -> None:
        self.world.mark(f"signing {effect.signing.name.lower()}")

    def _take_snapshot(self, effect: out.TakeSnapshot) -> None:
        frozen = self.archive.freeze()
        write_snapshot(self.offered, effect.tree, frozen, effect.height, effect.block_hash)
        frozen.close()
        self.world.mark("snapshot")

    def _prune(self, effect: out.PruneBlocks) -> None:
        self.archive.prune(effect.below, PRUNED_AT_ONCE)

    def _keep_epoch_ends(self, effect: out.KeepEpochEnds) -> None:
        self.archive.put_epoch_ends([(it.header, it.certificate, it.validators) for it in effect.light_blocks])

    def _keep_chunk(self, effect: out.KeepChunk) -> None:
        self.fetched.put_chunk(effect.info, effect.index, effect.data)

    def _install(self, effect: out.InstallSnapshot) -> None:
        """Like a restart, with another chain on the disk."""
        install_snapshot(self.folder.store, self.fetched, effect.plan)
        self.crash()
        self.boot()
        self.world.mark("state sync")

    def _note_joining(self, effect: out.JoiningFailed) -> None:
        self.world.mark("JoiningFailed")

    def _work(self, effect: out.Work) -> None:
        self.world.on_work(self, effect.order)


_WRITES: Final = (out.PersistVote, out.PersistDuty, out.CommitBlocks)
_PERFORM: Final[Mapping[type, Callable[[SimNode, Any], None]]] = {
    out.PersistVote: SimNode._persist_vote,
    out.PersistDuty: SimNode._persist_duty,
    out.CommitBlocks: SimNode._commit,
    out.SendMessage: SimNode._send,
    out.SetTimer: SimNode._set_timer,
    out.BlockRefused: SimNode._note_refusal,
    out.Penalise: SimNode._note,
    out.ViewEntered: SimNode._note_view,
    out.SigningChanged: SimNode._note_signing,
    out.Work: SimNode._work,
    out.TakeSnapshot: SimNode._take_snapshot,
    out.PruneBlocks: SimNode._prune,
    out.KeepEpochEnds: SimNode._keep_epoch_ends,
    out.KeepChunk: SimNode._keep_chunk,
    out.InstallSnapshot: SimNode._install,
    out.JoiningFailed: SimNode._note_joining,
}
