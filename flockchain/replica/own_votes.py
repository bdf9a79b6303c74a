"""What this participant's key signed, as its peers know it: asked before the first vote, and heeded ever after.

The wishes of `consensus.quarantine`, performed: questions to peers, records in the journal, the consensus core muted or
not. Decides nothing about when it is safe to sign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flockchain.consensus import effects as asked
from flockchain.consensus import events as core
from flockchain.consensus.guard import GUARD_RECORD, FloorRecord, SuspectRecord
from flockchain.consensus.quarantine import Quarantine, QuarantineConfig, Signing
from flockchain.crypto.signing import compute_vote_bytes
from flockchain.gossip import messages as wire
from flockchain.primitives.numbers import Epoch, NodeId, View
from flockchain.primitives.vote import Vote
from flockchain.replica import effects as out
from flockchain.replica.ticks import ListenTick

if TYPE_CHECKING:
    from flockchain.replica.replica import Replica

__all__ = ["OwnVotes"]


class OwnVotes:
    """The signing side of a replica."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        participant = replica.participant
        keys, config = participant.identity.keys, participant.quarantine_config
        self._public_key: bytes | None = None  # None: nothing of this is for us
        if keys is not None and config is not None:
            self._public_key = participant.bls.get_public_key(keys.secret_key)
        self._quarantine = Quarantine(config or QuarantineConfig(), participant.vote_records)
        self._askers: dict[NodeId, Epoch] = {}  # whose question the core has not answered yet
        self._epoch = Epoch(0)  # that we ask about: open, or about to be
        self.records = tuple(participant.vote_records)  # of the guard at our start, and suspicions since

    @property
    def signing(self) -> Signing:
        """Whether this participant votes."""
        return self._quarantine.signing

    @property
    def is_muted(self) -> bool:
        return self._public_key is not None and self.signing is not Signing.FREE

    @property
    def is_forgetful(self) -> bool:
        """Whether our journals may lack what we promised: then no duties are taken up either."""
        return self.is_muted and self.signing is not Signing.LISTENING

    def on_epoch(self, epoch: Epoch) -> None:
        """An epoch is about to be opened."""
        self._epoch = epoch
        if self._quarantine.on_epoch(self._replica.answers.find_anchor_time(epoch)):
            self._ask()

    def start(self) -> None:
        """The host is ready: listen before the first vote."""
        if self._public_key is not None and self._quarantine.is_listening:
            self._ask()
            self._settle()

    def on_timer(self) -> None:
        """A round is over: ask again."""
        if self._quarantine.is_listening:
            self._quarantine.on_round()
            self._ask()
            self._settle()

    def on_connected(self, peer: NodeId) -> None:
        """A new neighbour: it is asked at once."""
        if self._public_key is not None and self._quarantine.is_listening:
            self._replica.outbox.send(peer, self._build_question())

    def on_synced(self) -> None:
        """Blocks came that were made without us."""
        if self._public_key is not None and self._quarantine.on_synced():
            self._ask()

    def on_request(self, peer: NodeId, message: wire.OwnVotesRequest) -> None:
        """A peer asks about itself."""
        signer = self._replica.core.validators.get_index_of(message.validator)
        self._askers[peer] = message.epoch
        if signer is None:
            self.answer(asked.SendOwnVotes(peer, (), ()))
        else:
            self._replica.tell_core(core.OwnVotesRequested(signer, peer))

    def answer(self, effect: asked.SendOwnVotes) -> None:
        """Tell a peer. One in an epoch that is over learns so in the same breath, and signs no more in it."""
        replica, certificates = self._replica, effect.certificates
        epoch = self._askers.pop(effect.peer, replica.core.epoch)
        if epoch < replica.core.epoch:
            handover = replica.answers.find_handover(epoch)
            certificates = (handover,) if handover is not None else ()
        replica.outbox.send(effect.peer, wire.OwnVotesReply(effect.votes, certificates))

    def on_reply(self, peer: NodeId, message: wire.OwnVotesReply) -> None:
        """A peer has told what it knows; the consensus core looks at what is of its epoch."""
        replica = self._replica
        if not self._quarantine.on_answer(peer):
            return
        for certificate in message.certificates:
            if certificate.epoch == replica.core.epoch:
                replica.tell_core(core.CertificateReceived(certificate, peer))
        for vote in message.votes:
            if vote.epoch == replica.core.epoch:
                replica.tell_core(core.VoteReceived(vote, None))
            elif vote.epoch > replica.core.epoch and self._quarantine.is_unknown(vote) and self._is_mine(vote):
                self._heed()
        replica.work_through()  # what the core makes of it comes first
        self._settle()

    def on_heard(self, effect: asked.OwnVoteHeard) -> None:
        """R14. Our signature on what we have no record of."""
        self._heed()

    def _heed(self) -> None:
        if self._public_key is not None:
            self._write(self._quarantine.on_unknown_vote(self._replica.now_ms))
        else:
            self._replica.tell_core(core.SigningAllowed(is_allowed=True))

    def _write(self, record: SuspectRecord | None) -> None:
        if record is None:
            return
        encoded = GUARD_RECORD.encode(record)
        self.records += (encoded,)
        self._replica.outbox.add(out.PersistVote(encoded), out.SigningChanged(self.signing))
        self._replica.tell_core(core.SigningAllowed(is_allowed=False, suspect=record))

    def _settle(self) -> None:
        """Look whether enough was heard."""
        replica = self._replica
        if self._public_key is None or not self._quarantine.is_listening:
            return
        validators = replica.core.validators
        me = validators.get_index_of(replica.participant.identity.account)
        if self._quarantine.end_if_heard(validators, me, replica.relay.peers, is_behind=not replica.sync.is_live):
            if self._quarantine.is_blank:  # a journal that is begun says that nothing was signed before it
                self._quarantine.is_blank = False
                replica.outbox.add(out.PersistVote(GUARD_RECORD.encode(FloorRecord(replica.core.epoch, View(0)))))
            replica.outbox.add(out.SigningChanged(self.signing))
            replica.tell_core(core.SigningAllowed(is_allowed=True))

    def _ask(self) -> None:
        replica = self._replica
        for peer in self._quarantine.find_silent(replica.relay.peers):
            replica.outbox.send(peer, self._build_question())
        replica.outbox.set_timer(ListenTick(), self._quarantine.round_ms)

    def _build_question(self) -> wire.OwnVotesRequest:
        return wire.OwnVotesRequest(self._replica.participant.identity.account, self._epoch)

    def _is_mine(self, vote: Vote) -> bool:
        participant = self._replica.participant
        message = compute_vote_bytes(participant.genesis_hash, vote.kind, vote.epoch, vote.view, vote.block_hash)
        return self._public_key is not None and participant.bls.verify(self._public_key, message, vote.signature)
