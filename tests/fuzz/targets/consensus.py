"""Votes, certificates, proposals and whatever else peers say, handed to a production replica that waits for them.

Accepted is what makes the replica vote, move on or commit. The signatures are real.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from itertools import count

from flockchain.consensus.guard import GUARD_RECORD
from flockchain.crypto.bls import get_default_backend
from flockchain.crypto.hashing import compute_block_hash, sha256
from flockchain.crypto.voting import verify_certificate, verify_vote
from flockchain.gossip import messages as wire
from flockchain.gossip.messages import MessageKind
from flockchain.primitives.block import BLOCK, Block
from flockchain.primitives.errors import InvalidInput, Refused
from flockchain.primitives.numbers import NodeId
from flockchain.primitives.vote import CERTIFICATE, VOTE, Certificate, Vote, VoteKind
from flockchain.replica import effects as out
from flockchain.replica import events
from flockchain.replica.ticks import ApplyTick
from flockchain.runtime.pallets.balances import Transfer
from tests.fuzz.encodings import build_value
from tests.fuzz.replicas import ReplicaRoom
from tests.fuzz.subject import Subject, Target
from tests.kit.runtime_chain import RuntimeChain, get_account

__all__ = ["TARGETS"]

_TAKES_EFFECT = (out.PersistVote, out.PersistDuty, out.CommitBlocks, out.ViewEntered, out.Work)
_MISSED_BLOCKS = 6  # more than a sync core leaves to the resolver


def build_vote_subject() -> Subject:
    """A vote, verified by itself."""
    room, validators, genesis_hash = _open_room()

    def accepts(vote: Vote) -> bool:
        return verify_vote(get_default_backend(), genesis_hash, validators, vote)

    samples = [VOTE.encode(_decode(payload).vote) for payload in room.get_held(MessageKind.VOTE)[:8]]
    return Subject(tuple(samples), VOTE.decode, accepts, VOTE.encode, is_verifier=True)


def build_certificate_subject() -> Subject:
    """A notarization or finalization, verified against the epoch's stake."""
    room, validators, genesis_hash = _open_room()

    def accepts(certificate: Certificate) -> bool:
        return verify_certificate(get_default_backend(), genesis_hash, validators, certificate)

    samples = [CERTIFICATE.encode(_decode(payload).certificate) for payload in room.get_held(MessageKind.CERTIFICATE)]
    return Subject(tuple(samples[:6]), CERTIFICATE.decode, accepts, CERTIFICATE.encode, is_verifier=True)


def build_block_subject() -> Subject:
    """A certified block: whoever has the certificate takes it only if its header has that hash and it executes."""
    room, _, _ = _open_room()
    original = _decode(room.get_held(MessageKind.PROPOSAL)[0]).proposal.block
    certified = compute_block_hash(original.header)
    ledger = room.victim.replica.ledger

    def accepts(block: Block) -> bool:
        ledger.execute(block)
        return compute_block_hash(block.header) == certified

    return Subject(
        (BLOCK.encode(original),), BLOCK.decode, accepts, BLOCK.encode, (InvalidInput, Refused), is_verifier=True
    )


def build_proposal_subject() -> Subject:
    """The leader's proposal for the view that the replica is in.

    Its leader signs the block and the view, not the parent's view beside them: with that changed it is the same
    proposal, and a vote for that very block is no acceptance of another.
    """
    room = _open_own_room()
    sample = room.get_held(MessageKind.PROPOSAL)[0]
    block_hash = compute_block_hash(_decode(sample).proposal.block.header)

    def accepts(payload: bytes) -> bool:
        nonlocal room
        sender = room.members[1].node_id
        effects = room.victim.replica.on_event(events.MessageReceived(sender, payload), room.now_ms)
        votes = [GUARD_RECORD.decode(effect.record) for effect in effects if isinstance(effect, out.PersistVote)]
        if any((vote.kind, vote.block_hash) != (VoteKind.NOTARIZE, block_hash) for vote in votes):
            return True
        if votes:
            room = _open_own_room()  # this replica has voted: it would not look at the next ones
        return any(isinstance(effect, (out.CommitBlocks, out.ViewEntered)) for effect in effects)

    def finish() -> None:
        height = room.victim.height
        room.now_ms += 60_000
        room.hand_over_held()
        _require(room.victim.height > height)

    return Subject((sample,), bytes, accepts, refusals=(), finish=finish)


def build_vote_message_subject() -> Subject:
    """Votes of all members for the view that the replica is in, and the next ones."""
    return _build_replica_subject(MessageKind.VOTE)


def build_certificate_message_subject() -> Subject:
    """Certificates of the view that the replica is in, and the next ones."""
    return _build_replica_subject(MessageKind.CERTIFICATE)


def build_message_subject() -> Subject:
    """Messages of every kind. Some mutations are as good as the original (a height, a request) and do no harm."""
    room = _open_own_room()
    others = [
        wire.BlocksRequest(wire.Height(1), 3),
        wire.BlocksReply((_decode(room.get_held(MessageKind.PROPOSAL)[0]).proposal.block,), None),
        wire.BlockRequest(room.victim.replica.ledger.finalized.block_hash),
        wire.BlockReply(_decode(room.get_held(MessageKind.PROPOSAL)[0]).proposal.block),
        wire.CertificatesRequest(room.victim.replica.epoch, wire.View(1)),
        wire.CertificatesReply(tuple(_decode(raw).certificate for raw in room.get_held(MessageKind.CERTIFICATE)[:1])),
        wire.ExtrinsicsMessage(_sign_transfers(1)),
        wire.StatusMessage(wire.Height(9), wire.Hash(sha256(b"head")), wire.Epoch(2), wire.View(3)),
        wire.NeighboursMessage((wire.Neighbour(room.members[1].node_id, "127.0.0.1:9000"),)),
    ]
    samples = [wire.encode_message(message) for message in others]
    samples += [room.get_held(kind)[0] for kind in (MessageKind.PROPOSAL, MessageKind.VOTE, MessageKind.CERTIFICATE)]
    rng = random.Random("a message of each kind")
    for codec in wire._PEER_MESSAGE.members.values():  # so that a new kind is covered by being there
        samples += [wire.encode_message(build_value(rng, codec)) for _ in range(3)]
    return _judge_by_effects(room, samples)


def build_blocks_reply_subject() -> Subject:
    """The blocks that a replica which fell behind has asked for."""
    room = _open_own_room(missed=_MISSED_BLOCKS)
    helper, victim = room.members[1], room.victim
    sample = wire.encode_message(helper.replica.answers.answer_blocks_request(wire.Height(victim.height + 1), 128))
    strangers = (NodeId(sha256(b"peer" + number.to_bytes(4, "big"))) for number in count())
    head = helper.replica.ledger.finalized
    status = wire.encode_message(
        wire.StatusMessage(head.header.height, head.block_hash, head.header.epoch, head.header.view)
    )

    def deliver(payload: bytes) -> bool:
        peer = next(strangers)
        on_event = victim.replica.on_event
        room.now_ms += 10_000  # whoever failed before may be asked again
        on_event(events.PeerConnected(peer), room.now_ms)
        asked = on_event(events.MessageReceived(peer, status), room.now_ms)
        assert any(isinstance(effect, out.SendMessage) and effect.peers == (peer,) for effect in asked)
        answered = on_event(events.MessageReceived(peer, payload), room.now_ms)
        while any(isinstance(effect, out.SetTimer) and effect.timer == ApplyTick() for effect in answered):
            answered = on_event(events.TimerFired(ApplyTick()), room.now_ms)
        on_event(events.PeerGone(peer), room.now_ms)
        return any(isinstance(effect, _TAKES_EFFECT) for effect in answered)

    return Subject((sample,), bytes, deliver, finish=lambda: _require(deliver(sample)))


def _build_replica_subject(kind: MessageKind) -> Subject:
    room = _open_own_room()
    return _judge_by_effects(room, room.get_held(kind)[:8])


def _judge_by_effects(room: ReplicaRoom, samples: Sequence[bytes]) -> Subject:
    victim, sender = room.victim, room.members[1].node_id
    height, epoch = victim.height, victim.replica.epoch

    def accepts(payload: bytes) -> bool:
        effects = victim.replica.on_event(events.MessageReceived(sender, payload), room.now_ms)
        return any(isinstance(effect, _TAKES_EFFECT) for effect in effects)

    def finish() -> None:
        """Nothing was poisoned: the replica goes on with the others as soon as it hears them."""
        _require((victim.height, victim.replica.epoch) == (height, epoch))
        room.now_ms += 60_000  # marks of what was seen have expired
        room.hand_over_held()
        _require(victim.height > height)

    return Subject(tuple(samples), bytes, accepts, refusals=(), finish=finish)


@cache
def _open_room() -> tuple[ReplicaRoom, object, bytes]:
    room = _open_own_room()
    return room, room.victim.replica.core.validators, room.victim.replica.participant.genesis_hash


def _open_own_room(missed: int = 2) -> ReplicaRoom:
    """A room whose victim waits for a proposal with transfers in it, while the others have gone on."""
    room = ReplicaRoom()
    room.run_until(lambda: room.victim.height >= 4)
    for member in room.members:
        checked = tuple(member.replica.require_admissible(raw) for raw in _sign_transfers(2))
        room.tell(member, events.ExtrinsicsSubmitted(checked))
    room.hold_at_proposal()
    assert _decode(room.held[0][1]).proposal.block.extrinsics, "the proposal is to hold something"
    height = room.victim.height
    room.run_until(lambda: room.members[1].height >= height + missed)
    return room


def _sign_transfers(amount: int) -> tuple[bytes, ...]:
    chain = RuntimeChain.start()
    return tuple(
        chain.sign(f"account-{at}", "balances.transfer", Transfer(get_account("faucet"), amount)) for at in range(3)
    )


def _decode(payload: bytes):  # type: ignore[no-untyped-def]
    return wire.decode_message(payload)


def _require(is_so: bool) -> None:
    assert is_so, "the replica does not take the originals any more"


TARGETS = (
    Target("vote", build_vote_subject),
    Target("certificate", build_certificate_subject),
    Target("block", build_block_subject),
    Target("proposal", build_proposal_subject),
    Target("vote-message", build_vote_message_subject),
    Target("certificate-message", build_certificate_message_subject),
    Target("peer-message", build_message_subject),
    Target("blocks-reply", build_blocks_reply_subject),
)
