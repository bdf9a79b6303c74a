"""A participant of a simulated world: the production replica on a seeded clock, disk and network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from flockchain.consensus.config import ConsensusKeys
from flockchain.duties import DutyKeys
from flockchain.primitives.numbers import ZERO_HASH, AccountId, Hash, NodeId
from flockchain.replica import effects as out
from flockchain.replica import events
from flockchain.replica.assembly import assemble_replica
from flockchain.replica.epochs import Identity
from flockchain.replica.replica import Replica
from flockchain.runtime.dev_keys import ValidatorSecrets
from flockchain.storage.archive import Archive
from flockchain.storage.memory_store import MemoryStore

if TYPE_CHECKING:
    from flockchain.sim.adversaries import Adversary
    from flockchain.sim.world import World

__all__ = ["SimNode"]


class SimNode:
    """What survives a crash (`archive`, the journals, `blobs`) and what does not (`replica`, its timers)."""

    def __init__(self, world: World, secrets: ValidatorSecrets, adversary: Adversary | None) -> None:
        self.world = world
        self.secrets = secrets
        self.node_id: NodeId = secrets.node_id
        self.account: AccountId = secrets.account
        self.consensus_key = secrets.get_consensus_key(world.bls)
        self.adversary = adversary
        self.archive = Archive(MemoryStore())
        self.vote_journal: list[bytes] = []
        self.duty_journal: list[bytes] = []
        self.blobs: set[Hash] = set()  # what the blob store holds
        self.replica: Replica | None = None
        self.life = 0  # counts restarts: what was meant for an earlier life is void
        self.refused: list[out.BlockRefused] = []
        self._timers: dict[Any, int] = {}
        self._timers_set = 0

    @property
    def genesis_hash(self) -> Hash:
        return self.archive.get_genesis_hash() or ZERO_HASH

    @property
    def is_up(self) -> bool:
        return self.replica is not None

    def get_height(self) -> int:
        """The height of the last block on disk."""
        head = self.archive.get_head()
        return head.height if head is not None else 0

    def find_seat(self) -> int | None:
        """The index of this node's validator in the set of the epoch that it is in, if it has a seat there."""
        return self.replica.core.validators.get_index_of(self.account) if self.replica is not None else None

    def boot(self) -> None:
        """Start, or start again from what the disk holds."""
        self.life += 1
        self._timers.clear()
        identity = Identity(self.account, ConsensusKeys(self.secrets.consensus_secret))
        self.replica = assemble_replica(
            self.world.genesis,
            self.world.bls,
            self.archive,
            identity,
            self.world.now_ms,
            vote_records=tuple(self.vote_journal),
            duty_keys=DutyKeys(self.account, self.secrets.score_seed, self.secrets.certificate_secret),
            duty_records=tuple(self.duty_journal),
        )
        self.handle(events.Started())
        for peer in self.world.get_neighbours(self):
            if peer.is_up:
                self.handle(events.PeerConnected(peer.node_id))
                peer.handle(events.PeerConnected(self.node_id))

    def crash(self) -> None:
        """Lose everything that is not on disk."""
        self.life += 1
        self.replica = None
        for peer in self.world.get_neighbours(self):
            if peer.is_up:
                peer.handle(events.PeerGone(self.node_id))

    def handle(self, event: events.ReplicaEvent) -> None:
        """Hand one event in and perform what comes out; a crash may be planned between any two effects."""
        if self.replica is None:
            return
        try:
            effects = self.replica.on_event(event, self.world.now_ms)
        except Exception as error:  # whatever it is, it is a finding
            self.world.on_broken(self, error)
            return
        if self.adversary is not None:
            effects = self.adversary.apply(self, effects)
        for effect in effects:
            if self.world.is_crash_due(self, effect):
                self.crash()
                return
            self.world.trace(self, effect)
            _PERFORM[type(effect)](self, effect)

    def deliver(self, life: int, event: events.ReplicaEvent) -> None:
        """An event that was meant for one life of this node."""
        if self.life == life:
            self.handle(event)

    def _persist_vote(self, effect: out.PersistVote) -> None:
        self.vote_journal.append(effect.record)

    def _persist_duty(self, effect: out.PersistDuty) -> None:
        self.duty_journal.append(effect.record)

    def _commit(self, effect: out.CommitBlocks) -> None:
        self.archive.commit(effect.build_commits(), effect.certificate)
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
            if self.life == life and self._timers.get(effect.timer) == mark:
                del self._timers[effect.timer]
                self.handle(events.TimerFired(effect.timer))

        self.world.schedule.add(effect.after_ms, fire)

    def _note_refusal(self, effect: out.BlockRefused) -> None:
        self.refused.append(effect)

    def _note(self, effect: out.Penalise | out.ViewEntered) -> None:
        self.world.on_noted(self, effect)

    def _work(self, effect: out.Work) -> None:
        self.world.on_work(self, effect.order)


_PERFORM: Final[Mapping[type, Callable[[SimNode, Any], None]]] = {
    out.PersistVote: SimNode._persist_vote,
    out.PersistDuty: SimNode._persist_duty,
    out.CommitBlocks: SimNode._commit,
    out.SendMessage: SimNode._send,
    out.SetTimer: SimNode._set_timer,
    out.BlockRefused: SimNode._note_refusal,
    out.Penalise: SimNode._note,
    out.ViewEntered: SimNode._note,
    out.Work: SimNode._work,
}
