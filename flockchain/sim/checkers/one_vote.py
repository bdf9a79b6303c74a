"""An honest validator signs one NOTARIZE and one FINALIZE a view at most, and never NULLIFY beside FINALIZE.

Judged by what leaves the machine, over the whole life of the node, restarts included. A proposal carries its leader's
NOTARIZE. What a node merely passes on is told apart by the signature.

One thing is beyond what a node can know: a vote whose record its disk acknowledged and lost, and which no neighbour
that is up has heard in its present life. It counts as if it had never been said, and the world gets a mark.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flockchain.gossip import messages as wire
from flockchain.primitives.codec import Reader
from flockchain.primitives.numbers import NodeId
from flockchain.primitives.vote import Vote, VoteKind
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.sim.checkers.checker import Checker, Violation
from flockchain.sim.checkers.persistence import VOTE_RECORD, read_vote_record
from flockchain.sim.checkers.signed_bytes import is_signed, read_vote

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["FORGOTTEN_BY_ALL", "OneVote"]

FORGOTTEN_BY_ALL: Final = "vote lost by its disk and its hearers"

_KINDS = (wire.MessageKind.PROPOSAL, wire.MessageKind.VOTE)


@dataclass(frozen=True, slots=True)
class _Word:
    vote: Vote
    lost_syncs: int  # of the signer's disk until then


class OneVote(Checker):
    """Keeps every vote that every honest node ever sent in its own name, and who heard it."""

    def __init__(self) -> None:
        self._said: dict[tuple[NodeId, int, int, VoteKind], _Word] = {}
        self._seen: set[tuple[NodeId, bytes]] = set()
        self._carried: dict[bytes, bytes] = {}  # by message: the signature of the vote in it
        self._heard: dict[bytes, set[tuple[NodeId, int]]] = {}  # by signature: by whom, and in which life

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        if node.adversary is not None or not isinstance(effect, SendMessage) or effect.payload[0] not in _KINDS:
            return ()
        vote = read_vote(effect.payload)
        self._carried[effect.payload] = vote.signature
        if (node.node_id, vote.signature) in self._seen:
            return ()
        self._seen.add((node.node_id, vote.signature))
        return self._judge(node, vote) if is_signed(node, vote, node.consensus_key) else ()

    def on_heard(self, node: SimNode, payload: bytes) -> None:
        signature = self._carried.get(payload)
        if signature is not None and node.adversary is None:
            self._heard.setdefault(signature, set()).add((node.node_id, node.life))

    def _judge(self, node: SimNode, vote: Vote) -> list[Violation]:
        who, kind, epoch, view = node.node_id, vote.kind, vote.epoch, vote.view
        found: list[Violation] = []
        same = self._find(node, epoch, view, kind)
        if same is not None and same.block_hash != vote.block_hash:
            found.append(Violation("one vote", f"{who[:4].hex()} signed two {kind.name} in {epoch}/{view}"))
        other = {VoteKind.NULLIFY: VoteKind.FINALIZE, VoteKind.FINALIZE: VoteKind.NULLIFY}.get(kind)
        if other is not None and self._find(node, epoch, view, other) is not None:
            found.append(Violation("one vote", f"{who[:4].hex()} signed NULLIFY and FINALIZE in {epoch}/{view}"))
        self._said.setdefault((who, epoch, view, kind), _Word(vote, node.folder.disk.lost_syncs))
        return found

    def _find(self, node: SimNode, epoch: int, view: int, kind: VoteKind) -> Vote | None:
        """What the node said before and is answerable for."""
        key = (node.node_id, epoch, view, kind)
        word = self._said.get(key)
        if word is None or node.folder.disk.lost_syncs == word.lost_syncs or not self._is_gone(node, word.vote):
            return word.vote if word is not None else None
        del self._said[key]
        self._seen.discard((node.node_id, word.vote.signature))  # said again, it is judged again
        node.world.mark(FORGOTTEN_BY_ALL)
        return None

    def _is_gone(self, node: SimNode, vote: Vote) -> bool:
        """Whether neither the node's disk nor any neighbour that it can ask has the vote. A crash ends a life."""
        record = (vote.kind, vote.epoch, vote.view, vote.block_hash)
        votes = (encoded for encoded in node.vote_journal if encoded[0] == VOTE_RECORD)
        if any(read_vote_record(Reader(encoded)) == record for encoded in votes):
            return False
        heard = self._heard.get(vote.signature, set())
        return not any((peer.node_id, peer.life) in heard for peer in node.world.get_neighbours(node))
