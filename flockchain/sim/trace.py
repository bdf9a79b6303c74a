"""A world's story in lines: when, which node, what it did, and what that was about.

Sees what checkers see. Its lines are for people; a trace hash is for machines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TextIO

from flockchain.consensus.guard import GUARD_RECORD, CertificateRecord, VoteRecord
from flockchain.crypto.hashing import compute_block_hash
from flockchain.gossip import messages as wire
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.evidence import EVIDENCE
from flockchain.primitives.numbers import NodeId
from flockchain.primitives.vote import Certificate, Vote
from flockchain.replica import effects as out
from flockchain.sim.checkers import Checker, Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode
    from flockchain.sim.world import World

__all__ = ["Tracer", "summarise_message"]


_REPR_MAX: Final = 120


class Tracer(Checker):
    """Writes a line for each effect, start and note. A checker that finds nothing."""

    def __init__(self, world: World, file: TextIO) -> None:
        self._world = world
        self._file = file
        self._start_ms = world.now_ms

    def on_effect(self, node: SimNode, effect: out.ReplicaEffect) -> Iterable[Violation]:
        self._write(node, type(effect).__name__, _SUMMARIES.get(type(effect), _shorten)(self, effect))
        return ()

    def on_boot(self, node: SimNode) -> Iterable[Violation]:
        self._write(node, "Boot", f"life {node.life} at height {node.get_height()}")
        return ()

    def on_wiped(self, node: SimNode) -> Iterable[Violation]:
        self._write(node, "Wiped", "")
        return ()

    def note(self, what: str) -> None:
        """Something of the world, not of one node."""
        self._write(None, "*", what)

    def _write(self, node: SimNode | None, effect: str, summary: str) -> None:
        name = "world" if node is None else self._name(node.node_id)
        self._file.write(f"{self._world.now_ms - self._start_ms:>8} {name:<6} {effect:<13} {summary}\n")

    def _name(self, node_id: NodeId) -> str:
        for index, node in enumerate(self._world.nodes):
            if node.node_id == node_id:
                return f"n{index}" if node.adversary is None else f"n{index}!"
        return node_id[:4].hex()

    def _describe_send(self, effect: out.SendMessage) -> str:
        peers = ",".join(self._name(peer) for peer in effect.peers)
        return f"to {peers}: {summarise_message(effect.payload)}"

    def _describe_vote_record(self, effect: out.PersistVote) -> str:
        record = GUARD_RECORD.decode(effect.record)
        if isinstance(record, VoteRecord):
            return f"{record.kind.name} {record.epoch}/{record.view} {_short(record.block_hash)}"
        return _describe_vote(record.certificate) if isinstance(record, CertificateRecord) else repr(record)

    def _describe_commit(self, effect: out.CommitBlocks) -> str:
        blocks = ", ".join(f"{each.header.height} {_short(each.block_hash)}" for each in effect.executed)
        return f"{blocks} by {_describe_vote(effect.certificate)}"


def summarise_message(payload: bytes) -> str:
    """What a frame says, in a few words."""
    try:
        message = wire.decode_message(payload)
    except InvalidInput as error:
        return f"{len(payload)} bytes that say nothing: {error}"
    describe = _MESSAGES.get(type(message))
    name = type(message).__name__.removesuffix("Message")
    return f"{name} {describe(message)}" if describe is not None else name


def _shorten(_: Tracer, effect: out.ReplicaEffect) -> str:
    """Any effect, as far as there is room for it."""
    return repr(effect)[:_REPR_MAX]


def _short(block_hash: bytes) -> str:
    return block_hash[:4].hex()


def _describe_vote(vote: Vote | Certificate) -> str:
    who = f"by {vote.signer}" if isinstance(vote, Vote) else f"signers {vote.signers.hex()}"
    return f"{vote.kind.name} {vote.epoch}/{vote.view} {_short(vote.block_hash)} {who}"


def _describe_proposal(message: wire.ProposalMessage) -> str:
    proposal = message.proposal
    header = proposal.block.header
    place = f"{header.epoch}/{proposal.view} on {proposal.parent_view}, height {header.height}"
    return f"{place} {_short(compute_block_hash(header))} after {_short(header.parent)}"


def _describe_blocks(message: wire.BlocksReply) -> str:
    heights = [block.header.height for block in message.blocks]
    span = f"{heights[0]}..{heights[-1]}" if heights else "none"
    return span if message.certificate is None else f"{span} {_describe_vote(message.certificate)}"


def _describe_evidence(message: wire.EvidenceMessage) -> str:
    evidence = EVIDENCE.decode(message.evidence)
    return f"{evidence.first} and {evidence.second}"


_MESSAGES: Final[Mapping[type, Callable[[Any], str]]] = {
    wire.ProposalMessage: _describe_proposal,
    wire.VoteMessage: lambda message: _describe_vote(message.vote),
    wire.CertificateMessage: lambda message: _describe_vote(message.certificate),
    wire.ExtrinsicsMessage: lambda message: str(len(message.extrinsics)),
    wire.LearningMessage: lambda message: ", ".join(
        f"{type(item).__name__} {item.task}/{item.round}" for item in message.items[:4]
    ),
    wire.AggregateVoteMessage: lambda message: f"{message.vote.task}/{message.vote.round}",
    wire.StatusMessage: lambda message: f"height {message.height}, view {message.epoch}/{message.view}",
    wire.BlocksRequest: lambda message: f"{message.count} from {message.from_height}",
    wire.BlocksReply: _describe_blocks,
    wire.BlockRequest: lambda message: _short(message.block_hash),
    wire.BlockReply: lambda message: f"height {message.block.header.height}",
    wire.CertificatesRequest: lambda message: f"from {message.epoch}/{message.from_view}",
    wire.CertificatesReply: lambda message: "; ".join(_describe_vote(each) for each in message.certificates),
    wire.EvidenceMessage: _describe_evidence,
}

_SUMMARIES: Final[Mapping[type, Callable[[Tracer, Any], str]]] = {
    out.PersistVote: Tracer._describe_vote_record,
    out.PersistDuty: lambda _, effect: f"{len(effect.record)} bytes",
    out.CommitBlocks: Tracer._describe_commit,
    out.SendMessage: Tracer._describe_send,
    out.SetTimer: lambda _, effect: f"{effect.timer} in {effect.after_ms} ms",
    out.Work: lambda _, effect: type(effect.order).__name__,
    out.Penalise: lambda self, effect: f"{self._name(effect.peer)}: {effect.reason}",
    out.ViewEntered: lambda _, effect: f"{effect.epoch}/{effect.view}",
    out.BlockRefused: lambda _, effect: f"{_short(effect.block_hash)}: {effect.reason}",
}
