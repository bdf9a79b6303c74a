"""One participant of the chain: events in, effects out, and who handles what in between.

This file is a table. It routes each event to the core that decides (consensus, the runtime behind the
ledger, the pools, sync, duties) and turns what they answer into effects for the host, in an order that
is a contract (`effects.py`). The node and the simulator drive this same class.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from flockchain.consensus import effects as asked
from flockchain.consensus import events as core
from flockchain.consensus.core import Core
from flockchain.consensus.guard import GUARD_RECORD
from flockchain.crypto.signing import compute_reveal_bytes
from flockchain.gossip import messages as wire
from flockchain.gossip.relay import Relay
from flockchain.primitives.errors import InvalidInput, Refused, invariant
from flockchain.primitives.evidence import EVIDENCE
from flockchain.primitives.limits import CERTIFICATES_PER_REPLY_MAX
from flockchain.primitives.numbers import Epoch, View
from flockchain.primitives.vote import Certificate
from flockchain.replica import effects as out
from flockchain.replica import events, ticks
from flockchain.replica.accusations import Accusations
from flockchain.replica.admission import Admission
from flockchain.replica.answers import Answers
from flockchain.replica.catch_up import CatchUp
from flockchain.replica.conversation import Conversation
from flockchain.replica.outbox import Outbox
from flockchain.replica.own_votes import OwnVotes
from flockchain.replica.participant import Participant
from flockchain.replica.proposer import Assignment, Proposer
from flockchain.replica.vetting import Vetting
from flockchain.runtime.extrinsics import CheckedExtrinsic
from flockchain.runtime.ledger import ExecutedBlock, Ledger

__all__ = ["Replica"]

_SYNC_MS: Final = 500
_STATUS_EVERY_TICKS: Final = 2


class Replica:
    """Deterministic: equal events in equal order give equal effects. `on_event` never raises for a peer's nonsense."""

    def __init__(self, participant: Participant, ledger: Ledger, now_ms: int) -> None:
        self.participant = participant
        self.ledger = ledger
        self.relay = Relay(participant.relay_config)
        self.outbox = Outbox(self.relay, participant.identity.account)
        self.admission = Admission(ledger.executive)
        self.desk = participant.build_desk()
        self.accusations = Accusations(ledger, self.outbox)
        self.proposer = Proposer(
            ledger, self.admission, self.desk, self.accusations, participant.pace, participant.identity.account
        )
        self.answers = Answers(participant.archive, ledger, participant.epochs)
        self.conversation = Conversation(self)
        self.own_votes = OwnVotes(self)
        self.vetting = Vetting(self)
        self.now_ms = now_ms
        self.sync = CatchUp(self, now_ms)
        self.view = View(0)
        self._ticks = 0
        self._todo: deque[tuple[Core, core.Event]] = deque()
        self.core = self._open_core()

    # Reading

    @property
    def epoch(self) -> Epoch:
        """The epoch that consensus is in."""
        return self.participant.epochs.compute_open_epoch(self.ledger.finalized.header.height)

    def require_admissible(self, raw: bytes) -> CheckedExtrinsic:
        """What an API needs before `ExtrinsicsSubmitted`: raises `InvalidInput` or `Refused` with the reason."""
        return self.admission.require_admissible(self.ledger.finalized.state, raw)

    # Events

    def on_event(self, event: events.ReplicaEvent, now_ms: int) -> list[out.ReplicaEffect]:
        """Handle one event at `now_ms`. All effects are to be performed, in order, before the next call."""
        self.now_ms = self.outbox.now_ms = now_ms
        self.ledger.settle()
        _ON_EVENT[type(event)](self, event)
        return self.outbox.take()

    def _on_started(self, _: events.Started) -> None:
        self._hand_over_head()
        self.tell_core(core.Started())
        self.work_through()
        self.own_votes.start()
        self.work_through()
        head = self.ledger.finalized
        self._take_up_duties(head)
        self.outbox.set_timer(ticks.SyncTick(), _SYNC_MS)

    def _on_extrinsics(self, event: events.ExtrinsicsSubmitted) -> None:
        for checked in event.extrinsics:
            try:
                self.admission.add(self.ledger.finalized.state, checked, is_ours=True)
            except Refused:
                continue  # the pool changed since it was admitted
        self.on_new_work()

    def _on_timer(self, event: events.TimerFired) -> None:
        timer = event.timer
        if isinstance(timer, ticks.ViewTimer):
            if timer.epoch == self.core.epoch:
                self.tell_core(core.TimerFired(timer.timer))
        elif isinstance(timer, ticks.CheckTick):
            self.vetting.on_tick(timer)
        elif isinstance(timer, ticks.ListenTick):
            self.own_votes.on_timer()
        elif isinstance(timer, ticks.ProposeTick):
            self._propose_if_due()
        elif isinstance(timer, ticks.ApplyTick):
            self.sync.on_apply_tick()
        elif isinstance(timer, ticks.GossipTick | ticks.NeighboursTick):
            self.conversation.on_tick(timer)
        else:
            self._on_sync_tick()
        self.work_through()

    def _on_sync_tick(self) -> None:
        self.outbox.set_timer(ticks.SyncTick(), _SYNC_MS)
        self._ticks += 1
        if self._ticks % _STATUS_EVERY_TICKS == 0:
            self.outbox.broadcast(self.conversation.get_status())
        self.sync.on_tick()

    def _on_work_done(self, event: events.WorkDone) -> None:
        self._perform_learning(self.desk.on_work_done(event.result))
        self.on_new_work()

    def _on_peer(self, event: events.PeerConnected | events.PeerGone | events.MessageReceived) -> None:
        self.conversation.on_event(event)
        self.work_through()

    # Consensus

    def tell_core(self, event: core.Event) -> None:
        """Queue an event for the current epoch's core."""
        self._todo.append((self.core, event))

    def on_new_work(self) -> None:
        """Something waits for a block or for gossip."""
        self.conversation.gossip_soon()
        self._propose_if_due()
        self.work_through()

    def work_through(self) -> None:
        """Let the core take what is queued for it."""
        while self._todo:
            target, event = self._todo.popleft()
            if target is not self.core:
                continue  # its epoch ended
            for effect in target.on_event(event):
                _ON_CORE_EFFECT[type(effect)](self, target.epoch, effect)

    def _assign(self, epoch: Epoch, effect: asked.BuildBlock) -> None:
        keys = self.participant.identity.keys
        invariant(keys is not None, "only a validator with keys is asked to build", view=effect.view)
        message = compute_reveal_bytes(self.participant.genesis_hash, epoch, effect.view)
        reveal = self.participant.bls.sign(keys.secret_key, message)  # type: ignore[union-attr]
        self.proposer.assignment = Assignment(epoch, effect.view, effect.parent_hash, reveal)
        self._propose_if_due()

    def _propose_if_due(self) -> None:
        assignment = self.proposer.assignment
        if assignment is None:
            return
        wait_ms = self.proposer.compute_wait_ms(self.now_ms)
        if wait_ms > 0:
            self.outbox.set_timer(ticks.ProposeTick(), wait_ms)
            return
        block = self.proposer.build(self.now_ms)
        answer = core.BuildFailed(assignment.view) if block is None else core.BlockBuilt(assignment.view, block)
        self.tell_core(answer)

    def _enter_view(self, epoch: Epoch, effect: asked.EnteredView) -> None:
        self.view = effect.view
        if self.proposer.assignment is not None and self.proposer.assignment.view != effect.view:
            self.proposer.assignment = None
        self.outbox.add(out.ViewEntered(epoch, effect.view))

    def _finalize(self, epoch: Epoch, effect: asked.FinalizeBlocks) -> None:
        self.commit(self.ledger.finalize(effect.block_hashes[-1]), effect.certificate)

    def commit(self, executed: list[ExecutedBlock], certificate: Certificate) -> None:
        """Everything that follows from finality: disk first, then pools, duties, sync, and the next epoch."""
        if not executed:
            return
        self.outbox.add(out.CommitBlocks(tuple(executed), certificate))
        head = executed[-1]
        for item in executed:
            self.admission.on_finalized(head.state, item.block)
            self.accusations.on_finalized(item.block)
        self._take_up_duties(head)
        if self.participant.epochs.compute_last_height(self.core.epoch) == head.header.height:
            self.core = self._open_core()
            self.tell_core(core.Started())
            self.conversation.replay_early()
        self.sync.on_head()

    def _open_core(self) -> Core:
        head = self.ledger.finalized
        epochs = self.participant.epochs
        epoch = epochs.compute_open_epoch(head.header.height)
        anchor_hash = self.answers.get_anchor_hash(epoch)
        self.proposer.assignment = None
        votes = self.own_votes
        votes.on_epoch(epoch)
        return epochs.open(head.state, epoch, anchor_hash, votes.records, is_muted=votes.is_muted)

    def _hand_over_head(self) -> None:
        """After a restart in mid-epoch: tell the core which block was final."""
        head = self.ledger.finalized
        if head.header.height > self.participant.epochs.compute_anchor_height(self.core.epoch):
            certificate = self.participant.archive.get_certificate(head.header.height)
            invariant(certificate is not None, "the stored head is certified", height=head.header.height)
            self.tell_core(core.SyncedTo(head.block, certificate))  # type: ignore[arg-type]

    # Output

    def _take_up_duties(self, head: ExecutedBlock) -> None:
        is_live = self.sync.is_live and not self.own_votes.is_forgetful
        self._perform_learning(self.desk.on_finalized(head.state, head.header.height, is_live=is_live))

    def _perform_learning(self, answer: tuple[list[out.PersistDuty | out.Work], list[wire.PeerMessage]]) -> None:
        work, gossip = answer
        self.outbox.add(*work)
        for message in gossip:
            self.outbox.broadcast(message)

    def _report(self, epoch: Epoch, effect: asked.ReportEvidence) -> None:
        with suppress(InvalidInput):  # known already, or too old
            self.accusations.accuse(EVIDENCE.encode(effect.evidence))


_ON_EVENT: Final[Mapping[type, Callable[[Replica, Any], None]]] = {
    events.Started: Replica._on_started,
    events.PeerConnected: Replica._on_peer,
    events.PeerGone: Replica._on_peer,
    events.MessageReceived: Replica._on_peer,
    events.ExtrinsicsSubmitted: Replica._on_extrinsics,
    events.TimerFired: Replica._on_timer,
    events.WorkDone: Replica._on_work_done,
}

_ON_CORE_EFFECT: Final[Mapping[type, Callable[[Replica, Epoch, Any], None]]] = {
    asked.Journal: lambda self, _, effect: self.outbox.add(out.PersistVote(GUARD_RECORD.encode(effect.record))),
    asked.BroadcastProposal: lambda self, _, effect: self.outbox.broadcast(wire.ProposalMessage(effect.proposal)),
    asked.BroadcastVote: lambda self, _, effect: self.outbox.broadcast(wire.VoteMessage(effect.vote)),
    asked.ExposeVote: lambda self, _, effect: self.outbox.broadcast(wire.VoteMessage(effect.vote)),
    asked.BroadcastCertificate: lambda self, _, effect: self.outbox.pass_on(
        wire.CertificateMessage(effect.certificate), is_to_all=effect.is_repeated
    ),
    asked.SendCertificates: lambda self, _, effect: self.outbox.send(
        effect.peer, wire.CertificatesReply(effect.certificates[:CERTIFICATES_PER_REPLY_MAX])
    ),
    asked.SendBlock: lambda self, _, effect: self.outbox.send(effect.peer, wire.BlockReply(effect.block)),
    asked.BuildBlock: Replica._assign,
    asked.CheckBlock: lambda self, epoch, effect: self.vetting.check(epoch, effect),
    asked.FinalizeBlocks: Replica._finalize,
    asked.SetTimer: lambda self, epoch, effect: self.outbox.set_timer(
        ticks.ViewTimer(epoch, effect.timer), effect.after_ms
    ),
    asked.RequestCertificates: lambda self, epoch, effect: self.outbox.ask_someone(
        wire.CertificatesRequest(epoch, effect.from_view)
    ),
    asked.RequestBlock: lambda self, _, effect: self.outbox.ask_someone(wire.BlockRequest(effect.block_hash)),
    asked.ReportEvidence: Replica._report,
    asked.BlamePeer: lambda self, _, effect: self.outbox.penalise(effect.peer, effect.reason),
    asked.EnteredView: Replica._enter_view,
    asked.OwnVoteHeard: lambda self, _, effect: self.own_votes.on_heard(effect),
    asked.SendOwnVotes: lambda self, _, effect: self.own_votes.answer(effect),
}
