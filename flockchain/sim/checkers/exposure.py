"""Once the network is healed, whoever contradicts itself before one honest node is exposed.

Seen: an adversary sent two votes that exclude each other, both signed, to one node that was up and in that epoch, near
that view. Then some honest node has passed evidence of that offender and view on, or the chain holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flockchain.gossip import messages as wire
from flockchain.primitives.codec import HASH, U64
from flockchain.primitives.evidence import EVIDENCE, VoteEvidence
from flockchain.primitives.numbers import NodeId
from flockchain.primitives.vote import Vote, VoteKind
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers.block_events import OFFENCE_REPORTED, iterate_events
from flockchain.sim.checkers.checker import Checker, Violation
from flockchain.sim.checkers.signed_bytes import is_signed, read_vote
from flockchain.sim.network import HEALED

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Exposure"]

_VOTES: Final = (wire.MessageKind.PROPOSAL, wire.MessageKind.VOTE)
_ARRIVED_MS: Final = 100  # a healed network takes less
_NEAR_VIEWS: Final = 4
_Place = tuple[int, int]  # epoch, view


@dataclass(frozen=True, slots=True)
class _Shown:
    """A node was shown both votes by `at_ms`, in this life of it."""

    node: SimNode
    life: int
    at_ms: int


class Exposure(Checker):
    """Follows the adversary's words after the healing, and who exposed what."""

    def __init__(self) -> None:
        self._words: dict[tuple[NodeId, _Place], dict[tuple[VoteKind, bytes], int]] = {}
        self._shown: dict[_Place, _Shown] = {}  # the only adversary's
        self._due: set[_Place] = set()
        self._exposed: set[_Place] = set()

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        if node.adversary is None:
            self._settle(node)
            if isinstance(effect, SendMessage) and effect.payload[0] == wire.MessageKind.EVIDENCE:
                evidence = EVIDENCE.decode(wire.decode_message(effect.payload).evidence)  # type: ignore[union-attr]
                if isinstance(evidence, VoteEvidence):
                    self._exposed.add((evidence.first.epoch, evidence.first.view))
        elif isinstance(effect, SendMessage) and effect.payload[0] in _VOTES and node.world.network.faults is HEALED:
            vote = read_vote(effect.payload)
            is_own = vote.signer == node.find_seat() or effect.payload[0] == wire.MessageKind.PROPOSAL
            if is_own and is_signed(node, vote, node.consensus_key):
                self._hear(node, effect, vote)
        return ()

    def on_block(self, node: SimNode, executed: ExecutedBlock, state: Mapping[bytes, bytes]) -> Iterable[Violation]:
        for _, reader in iterate_events(executed, OFFENCE_REPORTED):
            HASH.read(reader)
            self._exposed.add((U64.read(reader), U64.read(reader)))
        return ()

    def on_end(self, nodes: Sequence[SimNode]) -> Iterable[Violation]:
        for node in nodes:
            self._settle(node)
        for epoch, view in sorted(self._due - self._exposed):
            yield Violation("exposure", f"what was signed twice in {epoch}/{view} was seen and not exposed")

    def _hear(self, sender: SimNode, effect: SendMessage, vote: Vote) -> None:
        place = (vote.epoch, vote.view)
        for node in sender.world.honest:
            core = node.replica.core if node.replica is not None else None
            can_hear = node.node_id in effect.peers and sender.world.network.can_reach(sender.node_id, node.node_id)
            if not can_hear or core is None or core.epoch != vote.epoch:
                continue
            words = self._words.setdefault((node.node_id, place), {})
            words.setdefault((vote.kind, vote.block_hash), node.life)
            is_shown = _is_contradiction(words, node.life)
            if is_shown and abs(core.view - vote.view) <= _NEAR_VIEWS and place not in self._shown:
                self._shown[place] = _Shown(node, node.life, sender.world.now_ms)

    def _settle(self, node: SimNode) -> None:
        """What a node was shown a while ago counts if it is still in that life and epoch."""
        for place, shown in [(place, shown) for place, shown in self._shown.items() if shown.node is node]:
            if node.world.now_ms < shown.at_ms + _ARRIVED_MS:
                continue
            del self._shown[place]
            core = node.replica.core if node.replica is not None else None
            if core is not None and node.life == shown.life and core.epoch == place[0] and not core.is_finished:
                self._due.add(place)


def _is_contradiction(words: Mapping[tuple[VoteKind, bytes], int], life: int) -> bool:
    """Two blocks by votes of one kind, or NULLIFY and FINALIZE, all heard in one life."""
    said = [kind for (kind, _), heard in words.items() if heard == life]
    return len(said) > len(set(said)) or {VoteKind.NULLIFY, VoteKind.FINALIZE} <= set(said)
