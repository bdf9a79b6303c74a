"""Four production replicas in one thread with real signatures, and one of them left behind for others to talk to.

The network is a queue that loses nothing; time moves only when the queue is empty. What is sent to the one left
behind is kept, in order: real messages that it has yet to hear.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from flockchain.consensus.config import ConsensusKeys
from flockchain.crypto.bls import get_default_backend
from flockchain.duties import DutyKeys
from flockchain.gossip.messages import MessageKind, compute_message_kind
from flockchain.primitives.numbers import NodeId
from flockchain.replica import effects as out
from flockchain.replica import events
from flockchain.replica.assembly import assemble_replica
from flockchain.replica.epochs import Identity
from flockchain.replica.replica import Replica
from flockchain.runtime.dev_keys import ValidatorSecrets, derive_dev_keys
from flockchain.storage.archive import Archive
from flockchain.storage.memory_store import MemoryStore
from tests.kit.runtime_chain import VALIDATOR_NAMES, load_minimal_genesis

__all__ = ["Member", "ReplicaRoom"]


@dataclass(slots=True)
class Member:
    """A replica with its disk."""

    secrets: ValidatorSecrets
    archive: Archive
    replica: Replica
    votes: list[bytes] = field(default_factory=list)

    @property
    def node_id(self) -> NodeId:
        return self.secrets.node_id

    @property
    def height(self) -> int:
        return self.replica.ledger.finalized.header.height


class ReplicaRoom:
    """The network. `victim` hears everything until `hold`, and from then on what a test hands to it."""

    def __init__(self) -> None:
        self.genesis = load_minimal_genesis()
        self.now_ms = self.genesis.timestamp_ms + 1_000
        self.members = [self._build(derive_dev_keys(name)) for name in VALIDATOR_NAMES]
        self.held: list[tuple[NodeId, bytes]] = []
        self.is_held: Callable[[bytes], bool] = lambda payload: False
        self._queue: deque[tuple[Member, events.ReplicaEvent]] = deque()
        self._timers: list[tuple[int, int, Member, object]] = []
        self._order = count()
        self._latest: dict[tuple[NodeId, object], int] = {}
        for member in self.members:
            self.tell(member, events.Started())
        for member in self.members:
            for peer in self.members:
                if peer is not member:
                    self.tell(member, events.PeerConnected(peer.node_id))

    @property
    def victim(self) -> Member:
        return self.members[0]

    def tell(self, member: Member, event: events.ReplicaEvent) -> list[out.ReplicaEffect]:
        """Hand in one event and perform its effects."""
        effects = member.replica.on_event(event, self.now_ms)
        for effect in effects:
            self._perform(member, effect)
        return effects

    def run_until(self, is_reached: Callable[[], bool]) -> None:
        """Deliver messages and let time pass until something is so."""
        for _ in range(200_000):
            if is_reached():
                return
            self._step()
        raise AssertionError("it never came to be")

    def hold_at_proposal(self) -> None:
        """From the next proposal of another member on, the victim hears nothing; everything else is delivered first."""

        def is_held(payload: bytes) -> bool:
            return bool(self.held) or compute_message_kind(payload) is MessageKind.PROPOSAL

        self.is_held = is_held
        self.run_until(lambda: bool(self.held))

    def get_held(self, kind: MessageKind) -> tuple[bytes, ...]:
        """What the victim has not heard, of one kind, each once."""
        found = [payload for _, payload in self.held if compute_message_kind(payload) is kind]
        return tuple(dict.fromkeys(found))

    def hand_over_held(self) -> None:
        """The victim hears at last what was kept from it."""
        held, self.held = self.held, []
        for sender, payload in held:
            self.tell(self.victim, events.MessageReceived(sender, payload))

    def _build(self, secrets: ValidatorSecrets) -> Member:
        archive = Archive(MemoryStore())
        replica = assemble_replica(
            self.genesis, get_default_backend(), archive,
            Identity(secrets.account, ConsensusKeys(secrets.consensus_secret)), self.now_ms,
            duty_keys=DutyKeys(secrets.account, secrets.score_seed, secrets.certificate_secret),
        )  # fmt: skip
        return Member(secrets, archive, replica)

    def _step(self) -> None:
        if self._queue:
            member, event = self._queue.popleft()
            self.tell(member, event)
            return
        due_ms, mark, member, timer = heapq.heappop(self._timers)
        self.now_ms = max(self.now_ms, due_ms)
        if self._latest.get((member.node_id, timer)) == mark and not (self.held and member is self.victim):
            del self._latest[member.node_id, timer]
            self.tell(member, events.TimerFired(timer))

    def _perform(self, member: Member, effect: out.ReplicaEffect) -> None:
        if isinstance(effect, out.SendMessage):
            for peer in effect.peers:
                self._send(member, peer, effect.payload)
        elif isinstance(effect, out.SetTimer):
            mark = next(self._order)
            self._latest[member.node_id, effect.timer] = mark
            heapq.heappush(self._timers, (self.now_ms + effect.after_ms, mark, member, effect.timer))
        elif isinstance(effect, out.PersistVote):
            member.votes.append(effect.record)
        elif isinstance(effect, out.CommitBlocks):
            member.archive.commit(effect.build_commits(), effect.certificate)

    def _send(self, sender: Member, peer: NodeId, payload: bytes) -> None:
        receiver = next((each for each in self.members if each.node_id == peer), None)
        if receiver is None or (sender is self.victim and self.held):
            return
        if receiver is self.victim and self.is_held(payload):
            self.held.append((sender.node_id, payload))
            return
        self._queue.append((receiver, events.MessageReceived(sender.node_id, payload)))
