"""What a world's nodes did and when: operations of each node in each view, and the moments of each view.

A node's view begins when it enters it and ends when it enters another; what it does meanwhile counts for that view,
whichever view a message is about. Sees effects as they are performed. Does not know what would have been best.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final

from flockchain.gossip.messages import MessageKind, ProposalMessage, decode_message
from flockchain.primitives.numbers import NodeId
from flockchain.replica.effects import (
    CommitBlocks,
    PersistDuty,
    PersistVote,
    ReplicaEffect,
    SendMessage,
    ViewEntered,
)
from flockchain.sim.checkers.checker import Checker, Violation
from flockchain.sim.wan.counted_bls import CountedBls

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode
    from flockchain.sim.world import World

__all__ = ["Meter", "Operations", "Stay", "ViewKey", "ViewMoments"]

ViewKey = tuple[int, int]  # epoch, view

_FSYNCED: Final = (PersistVote, PersistDuty, CommitBlocks)
_CONSENSUS: Final = (MessageKind.PROPOSAL, MessageKind.VOTE, MessageKind.CERTIFICATE)


@dataclass(slots=True)
class Operations:
    """How much one node did. A message to ten peers counts as ten."""

    messages: int = 0
    bytes: int = 0
    proposals: int = 0
    votes: int = 0
    certificates: int = 0
    consensus_bytes: int = 0
    checks: int = 0  # of a signature or an aggregate: one product of two pairings
    signatures: int = 0
    fsyncs: int = 0

    def subtract(self, other: Operations) -> Operations:
        """What was done since `other`."""
        return Operations(*(getattr(self, each.name) - getattr(other, each.name) for each in fields(Operations)))

    def copy(self) -> Operations:
        return self.subtract(Operations())


@dataclass(frozen=True, slots=True)
class Stay:
    """One node in one view, from the moment it entered until it entered another."""

    view: ViewKey
    node: int
    operations: Operations


@dataclass(slots=True)
class ViewMoments:
    """When what happened in a view, in the world's time, by index of the node."""

    leader: int | None = None  # who sent a proposal of its own
    proposed_ms: int | None = None
    entered_ms: dict[int, int] = field(default_factory=dict)
    final_ms: dict[int, int] = field(default_factory=dict)  # the view's own block is on this node's disk


class Meter(Checker):
    """Watches all nodes of one world. Put it there before the world starts: it counts their signatures too."""

    def __init__(self, world: World) -> None:
        self.views: dict[ViewKey, ViewMoments] = {}
        self.stays: list[Stay] = []
        self._index: dict[NodeId, int] = {}
        self._totals: list[Operations] = []
        self._before: list[tuple[ViewKey, Operations] | None] = []
        self._signatures: list[CountedBls] = []
        for index, node in enumerate(world.nodes):
            counted = CountedBls(node.bls)
            node.bls = counted
            self._index[node.node_id] = index
            self._signatures.append(counted)
            self._totals.append(Operations())
            self._before.append(None)
        world.checkers.append(self)

    @property
    def live(self) -> tuple[int, ...]:
        """Indexes of the nodes that took part."""
        return tuple(index for index, before in enumerate(self._before) if before is not None)

    def get_moments(self, view: ViewKey) -> ViewMoments:
        """The view's moments, none at first."""
        return self.views.setdefault(view, ViewMoments())

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        if node.world.is_healed:
            return ()
        index = self._index[node.node_id]
        if isinstance(effect, SendMessage):
            self._count_message(index, effect, node)
        elif isinstance(effect, _FSYNCED):
            self._totals[index].fsyncs += 1
        elif isinstance(effect, ViewEntered):
            self._enter(index, (effect.epoch, effect.view), node.world.now_ms)
        return ()

    def on_committed(self, node: SimNode, effect: CommitBlocks) -> Iterable[Violation]:
        if node.world.is_healed:
            return ()
        index = self._index[node.node_id]
        for executed in effect.executed:
            key = executed.header.epoch, executed.header.view
            self.get_moments(key).final_ms.setdefault(index, node.world.now_ms)
        return ()

    def _count_message(self, index: int, effect: SendMessage, node: SimNode) -> None:
        total, copies, kind = self._totals[index], len(effect.peers), effect.payload[0]
        total.messages += copies
        total.bytes += copies * len(effect.payload)
        if kind not in _CONSENSUS:
            return
        total.consensus_bytes += copies * len(effect.payload)
        if kind == MessageKind.VOTE:
            total.votes += copies
        elif kind == MessageKind.CERTIFICATE:
            total.certificates += copies
        else:
            total.proposals += copies
            self._note_proposal(index, effect.payload, node)

    def _note_proposal(self, index: int, payload: bytes, node: SimNode) -> None:
        message = decode_message(payload)
        if not isinstance(message, ProposalMessage) or message.proposal.block.header.proposer != node.account:
            return
        moments = self.get_moments((message.proposal.block.header.epoch, message.proposal.view))
        if moments.proposed_ms is None:
            moments.leader, moments.proposed_ms = index, node.world.now_ms

    def _enter(self, index: int, view: ViewKey, now_ms: int) -> None:
        total, counted = self._totals[index], self._signatures[index]
        total.checks, total.signatures = counted.checks, counted.signatures
        before = self._before[index]
        if before is not None:
            self.stays.append(Stay(before[0], index, total.subtract(before[1])))
        self._before[index] = view, total.copy()
        self.get_moments(view).entered_ms.setdefault(index, now_ms)
