"""What peers say, and what each of it means for this participant.

Decodes frames (adversarial until then), relays what is news, and routes by message type. Decides nothing
about validity: consensus, sync, the pools and the answers do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from flockchain.consensus import events as core
from flockchain.crypto.hashing import sha256
from flockchain.gossip import messages as wire
from flockchain.gossip.relay import RELAYED_KINDS
from flockchain.primitives.codec import DecodeError
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AggregateVote, LearningItem
from flockchain.primitives.limits import PROPOSALS_AHEAD_MAX
from flockchain.primitives.numbers import ZERO_HASH, Epoch, NodeId
from flockchain.replica import events
from flockchain.replica.learning_desk import is_expected
from flockchain.replica.lookup import Lookup
from flockchain.replica.ticks import GossipTick, NeighboursTick
from flockchain.runtime.pallets.offences import EvidenceForged

if TYPE_CHECKING:
    from flockchain.replica.replica import Replica

__all__ = ["Conversation"]

_RELAYED_TAGS: Final = frozenset(bytes([kind]) for kind in RELAYED_KINDS)
_EARLY_MESSAGES_MAX: Final = 256  # of the next epoch, kept until ours ends
_NEIGHBOURS_GATHER_MS: Final = 5  # whoever joins a network meets all of it at once
_NEIGHBOURS_EVERY_MS: Final = 100
_HANDOVER_EVERY_MS: Final = 500  # per peer that is still in an earlier epoch


class Conversation:
    """The peers' side of a replica."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._lookup = Lookup.open(replica.participant, replica.ledger)
        self._early: deque[core.Event] = deque(maxlen=_EARLY_MESSAGES_MAX)
        self._early_proposals: deque[core.Event] = deque(maxlen=PROPOSALS_AHEAD_MAX)  # unverified, and whole blocks
        self._handed_over_ms: dict[NodeId, int] = {}
        self._told_ms = 0  # when our neighbours last heard who they are
        self._due: set[type] = set()  # kinds of ticks that are on their way

    @property
    def early_count(self) -> int:
        """How many messages of the next epoch wait."""
        return len(self._early) + len(self._early_proposals)

    def on_event(self, event: events.PeerConnected | events.PeerGone | events.MessageReceived) -> None:
        if isinstance(event, events.MessageReceived):
            self._on_frame(event.peer, event.payload)
        elif isinstance(event, events.PeerConnected):
            self._on_connected(event.peer)
        else:
            self._on_gone(event.peer)

    def on_tick(self, tick: GossipTick | NeighboursTick) -> None:
        """What gathered goes out."""
        replica = self._replica
        self._due.discard(type(tick))
        if isinstance(tick, NeighboursTick):
            self._told_ms = replica.now_ms
            neighbours = tuple(wire.Neighbour(peer, "") for peer in replica.relay.peers)
            replica.outbox.forward(replica.relay.peers, wire.encode_message(wire.NeighboursMessage(neighbours)))
            return
        for batch in replica.admission.take_unsent(replica.now_ms):
            replica.outbox.broadcast(wire.ExtrinsicsMessage(batch))

    def gossip_soon(self) -> None:
        """Extrinsics may wait for gossip."""
        replica = self._replica
        if replica.admission.has_unsent:
            self._set_tick(GossipTick(), replica.admission.compute_gossip_wait_ms(replica.now_ms))

    def get_status(self) -> wire.StatusMessage:
        """Where we are."""
        head = self._replica.ledger.finalized
        return wire.StatusMessage(head.header.height, head.block_hash, self._replica.epoch, self._replica.view)

    def replay_early(self) -> None:
        """The next epoch is open: hear what was said of it already."""
        for waiting in (self._early, self._early_proposals):
            for event in waiting:
                self._replica.tell_core(event)
            waiting.clear()

    def _on_connected(self, peer: NodeId) -> None:
        replica = self._replica
        replica.relay.on_peer_connected(peer)
        replica.outbox.send(peer, self.get_status())
        replica.own_votes.on_connected(peer)
        for message in replica.desk.get_greetings():
            replica.outbox.send(peer, message)
        replica.sync.joining.on_peer_connected(peer)
        self._tell_neighbours()

    def _on_gone(self, peer: NodeId) -> None:
        replica = self._replica
        replica.relay.on_peer_gone(peer)
        replica.desk.on_source_gone(peer)
        self._handed_over_ms.pop(peer, None)
        replica.sync.on_peer_gone(peer)
        self._tell_neighbours()

    def _tell_neighbours(self) -> None:
        wait_ms = self._told_ms + _NEIGHBOURS_EVERY_MS - self._replica.now_ms
        self._set_tick(NeighboursTick(), max(_NEIGHBOURS_GATHER_MS, wait_ms))

    def _set_tick(self, tick: GossipTick | NeighboursTick, after_ms: int) -> None:
        if type(tick) not in self._due:
            self._due.add(type(tick))
            self._replica.outbox.set_timer(tick, after_ms)

    def _on_frame(self, peer: NodeId, payload: bytes) -> None:
        replica = self._replica
        is_relayed = payload[:1] in _RELAYED_TAGS
        digest = sha256(payload) if is_relayed else ZERO_HASH
        if is_relayed and replica.relay.has_seen(digest, replica.now_ms):
            return  # an echo is not worth decoding
        try:
            message = wire.decode_message(payload)
        except InvalidInput as error:
            replica.outbox.penalise(peer, str(error))
            return
        targets = replica.relay.on_received(peer, digest, replica.now_ms) if is_relayed else None
        if isinstance(message, wire.ExtrinsicsMessage):
            is_fit = self._take_extrinsics(peer, message)
        else:
            is_fit = not self._is_in_our_name(message)
        if targets and is_fit:  # nothing that our neighbours would blame us for
            replica.outbox.forward(targets, payload)
        _ON_MESSAGE[type(message)](self, peer, message)

    def _on_proposal(self, peer: NodeId, message: wire.ProposalMessage) -> None:
        proposal = message.proposal
        header = proposal.block.header
        leader = self._replica.core.get_leader(proposal.view) if header.epoch == self._replica.core.epoch else None
        self._to_core(peer, header.epoch, core.ProposalReceived(proposal, self._get_author(peer, leader)))

    def _on_vote(self, peer: NodeId, message: wire.VoteMessage) -> None:
        vote = message.vote
        self._to_core(peer, vote.epoch, core.VoteReceived(vote, self._get_author(peer, vote.signer)))

    def _on_certificate(self, peer: NodeId, message: wire.CertificateMessage) -> None:
        self._to_core(peer, message.certificate.epoch, core.CertificateReceived(message.certificate, peer))

    def _on_certificates(self, peer: NodeId, message: wire.CertificatesReply) -> None:
        for certificate in message.certificates:
            self._to_core(peer, certificate.epoch, core.CertificateReceived(certificate, peer))

    def _get_author(self, peer: NodeId, signer: int | None) -> NodeId | None:
        """`peer`, if the message is its own: a neighbour that relays unverified words of others is not to blame."""
        validators = self._replica.core.validators.validators
        is_author = signer is not None and signer < len(validators) and validators[signer].node_id == peer
        return peer if is_author else None

    def _to_core(self, peer: NodeId, epoch: Epoch, event: core.Event) -> None:
        ours = self._replica.core.epoch
        if epoch == ours:
            self._replica.tell_core(event)
        elif epoch == ours + 1:
            self._keep_early(event)
        elif epoch < ours:
            self._hand_over(peer, epoch)

    def _keep_early(self, event: core.Event) -> None:
        """Votes and certificates, and a few proposals. Nobody here has asked for a block of an epoch to come."""
        if isinstance(event, core.ProposalReceived):
            self._early_proposals.append(event)
        elif not isinstance(event, core.BlockReceived):
            self._early.append(event)

    def _hand_over(self, peer: NodeId, epoch: Epoch) -> None:
        """`peer` is still in an epoch that is over: show it the finalization that ended it."""
        now_ms = self._replica.now_ms
        if now_ms - self._handed_over_ms.get(peer, -_HANDOVER_EVERY_MS) < _HANDOVER_EVERY_MS:
            return
        certificate = self._replica.answers.find_handover(epoch)
        if certificate is not None:
            self._handed_over_ms[peer] = now_ms
            self._replica.outbox.send(peer, wire.CertificatesReply((certificate,)))

    def _take_extrinsics(self, peer: NodeId, message: wire.ExtrinsicsMessage) -> bool:
        """Pool what is good; False if there is something of which nobody could believe that it is."""
        replica = self._replica
        bad = replica.admission.add_from_peer(replica.ledger.finalized.state, message.extrinsics)
        if bad:
            replica.outbox.penalise(peer, "an extrinsic is malformed or its signature is wrong")
        return not bad

    def _on_extrinsics(self, peer: NodeId, message: wire.ExtrinsicsMessage) -> None:
        """They are in the pool already."""
        self._replica.on_new_work()

    def _is_in_our_name(self, message: wire.PeerMessage) -> bool:
        """Whether this may be a vote or a proposal by our key: what is really ours needs nobody to bring it to us."""
        core_ = self._replica.core
        me = core_.validators.get_index_of(self._replica.participant.identity.account)
        if isinstance(message, wire.VoteMessage):
            return message.vote.signer == me  # of any epoch: neighbours may be in another one than we are
        if isinstance(message, wire.ProposalMessage):
            proposal = message.proposal
            epoch = proposal.block.header.epoch
            is_led_by_us = epoch > core_.epoch or core_.get_leader(proposal.view) == me  # of an epoch to come: perhaps
            return me is not None and epoch >= core_.epoch and is_led_by_us
        return False

    def _on_learning(self, peer: NodeId, message: wire.LearningMessage) -> None:
        replica = self._replica
        replica.accusations.hear(message.items)
        expected = [item for item in message.items if self._is_expected(item)]
        if replica.desk.on_items(expected, peer):
            replica.on_new_work()

    def _on_aggregate_vote(self, peer: NodeId, message: wire.AggregateVoteMessage) -> None:
        if self._is_expected(message.vote) and self._replica.desk.on_vote(message.vote, peer):
            self._replica.on_new_work()

    def _is_expected(self, item: LearningItem | AggregateVote) -> bool:
        return is_expected(self._replica.ledger.finalized.state, self._replica.core.validators, item)

    def _on_status(self, peer: NodeId, message: wire.StatusMessage) -> None:
        self._replica.sync.on_status(peer, message.height)

    def _on_blocks_request(self, peer: NodeId, message: wire.BlocksRequest) -> None:
        self._replica.outbox.send(peer, self._replica.answers.answer_blocks_request(message.from_height, message.count))

    def _on_blocks(self, peer: NodeId, message: wire.BlocksReply) -> None:
        self._replica.sync.on_blocks(peer, message)

    def _on_block_request(self, peer: NodeId, message: wire.BlockRequest) -> None:
        block = self._replica.answers.find_block(message.block_hash)
        if block is not None:
            self._replica.outbox.send(peer, wire.BlockReply(block))
        else:
            self._replica.tell_core(core.BlockRequested(message.block_hash, peer))

    def _on_block(self, peer: NodeId, message: wire.BlockReply) -> None:
        self._on_joining(peer, message)
        self._to_core(peer, message.block.header.epoch, core.BlockReceived(message.block, peer))

    def _on_joining(self, peer: NodeId, message: wire.PeerMessage) -> None:
        self._replica.sync.joining.on_message(peer, message)

    def _on_pruned(self, peer: NodeId, message: wire.BlocksPruned) -> None:
        self._replica.sync.on_pruned(peer, message)

    def _on_snapshots_request(self, peer: NodeId, message: wire.SnapshotsRequest) -> None:
        self._replica.outbox.send(peer, self._lookup.list_snapshots())

    def _on_chunk_request(self, peer: NodeId, message: wire.ChunkRequest) -> None:
        self._replica.outbox.send(peer, self._lookup.find_chunk(message.height, message.index))

    def _on_light_blocks_request(self, peer: NodeId, message: wire.LightBlocksRequest) -> None:
        self._replica.outbox.send(peer, self._lookup.find_light_blocks(message.from_epoch, message.count))

    def _on_certificates_request(self, peer: NodeId, message: wire.CertificatesRequest) -> None:
        self._to_core(peer, message.epoch, core.CertificatesRequested(message.from_view, peer))

    def _on_evidence(self, peer: NodeId, message: wire.EvidenceMessage) -> None:
        try:
            self._replica.accusations.accuse(message.evidence)
        except (DecodeError, EvidenceForged) as error:
            self._replica.outbox.penalise(peer, str(error))
        except InvalidInput:
            return  # of an epoch that is too old here, or still to come, or known
        self._replica.on_new_work()

    def _on_neighbours(self, peer: NodeId, message: wire.NeighboursMessage) -> None:
        self._replica.relay.on_neighbours(peer, (neighbour.node_id for neighbour in message.neighbours))

    def _on_own_votes_request(self, peer: NodeId, message: wire.OwnVotesRequest) -> None:
        self._replica.own_votes.on_request(peer, message)

    def _on_own_votes(self, peer: NodeId, message: wire.OwnVotesReply) -> None:
        self._replica.own_votes.on_reply(peer, message)


_ON_MESSAGE: Final[Mapping[type, Callable[[Conversation, NodeId, Any], None]]] = {
    wire.ProposalMessage: Conversation._on_proposal,
    wire.VoteMessage: Conversation._on_vote,
    wire.CertificateMessage: Conversation._on_certificate,
    wire.ExtrinsicsMessage: Conversation._on_extrinsics,
    wire.LearningMessage: Conversation._on_learning,
    wire.AggregateVoteMessage: Conversation._on_aggregate_vote,
    wire.StatusMessage: Conversation._on_status,
    wire.BlocksRequest: Conversation._on_blocks_request,
    wire.BlocksReply: Conversation._on_blocks,
    wire.BlockRequest: Conversation._on_block_request,
    wire.BlockReply: Conversation._on_block,
    wire.CertificatesRequest: Conversation._on_certificates_request,
    wire.CertificatesReply: Conversation._on_certificates,
    wire.EvidenceMessage: Conversation._on_evidence,
    wire.NeighboursMessage: Conversation._on_neighbours,
    wire.SnapshotsRequest: Conversation._on_snapshots_request,
    wire.SnapshotsReply: Conversation._on_joining,
    wire.ChunkRequest: Conversation._on_chunk_request,
    wire.ChunkReply: Conversation._on_joining,
    wire.LightBlocksRequest: Conversation._on_light_blocks_request,
    wire.LightBlocksReply: Conversation._on_joining,
    wire.BlocksPruned: Conversation._on_pruned,
    wire.OwnVotesRequest: Conversation._on_own_votes_request,
    wire.OwnVotesReply: Conversation._on_own_votes,
}
