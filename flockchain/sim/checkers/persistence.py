"""Nothing leaves an honest machine in its own name that is not in its journal: votes, commits, aggregate votes.

The order of effects is the contract: the record first. The journal of every life counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from flockchain.duties.records import DUTY_RECORD, AggregateDuty, CommitDuty
from flockchain.gossip import messages as wire
from flockchain.primitives.codec import HASH, U8, U64, Reader
from flockchain.primitives.learning import AggregateVote, ScoreCommit
from flockchain.primitives.numbers import NodeId
from flockchain.replica.effects import PersistDuty, PersistVote, ReplicaEffect, SendMessage
from flockchain.sim.checkers.checker import Checker, Violation
from flockchain.sim.checkers.one_word import iterate_words
from flockchain.sim.checkers.signed_bytes import is_signed, read_vote

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["VOTE_RECORD", "Persistence", "read_vote_record"]

_VOTES = (wire.MessageKind.PROPOSAL, wire.MessageKind.VOTE)
VOTE_RECORD: Final = 0  # the first byte of a journaled vote
_Record = tuple[object, ...]


class Persistence(Checker):
    """Keeps what each node journaled."""

    def __init__(self) -> None:
        self._journaled: set[_Record] = set()
        self._passed: set[tuple[NodeId, bytes]] = set()

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        if node.adversary is not None:
            return
        if isinstance(effect, PersistVote):
            if effect.record[0] == VOTE_RECORD:
                self._journaled.add((node.node_id, *read_vote_record(Reader(effect.record))))
        elif isinstance(effect, PersistDuty):
            duty = DUTY_RECORD.decode(effect.record)
            self._journaled.add((node.node_id, type(duty), duty.task, duty.round))
        elif isinstance(effect, SendMessage) and (node.node_id, effect.payload) not in self._passed:
            self._passed.add((node.node_id, effect.payload))
            for said in self._read(node, effect):
                if said not in self._journaled:
                    yield Violation(
                        "persistence", f"{node.node_id[:4].hex()} sent what it had not journaled: {said[1:]}"
                    )

    def _read(self, node: SimNode, effect: SendMessage) -> Iterable[_Record]:
        """What the message says in the node's own name, as its journal would."""
        if effect.payload[0] in _VOTES:
            vote = read_vote(effect.payload)
            if is_signed(node, vote, node.consensus_key):
                yield node.node_id, vote.kind, vote.epoch, vote.view, vote.block_hash
        for word in iterate_words(node, effect):
            kind = AggregateDuty if isinstance(word, AggregateVote) else CommitDuty
            if not isinstance(word, ScoreCommit | AggregateVote):
                continue  # a reveal opens a commit
            yield node.node_id, kind, word.task, word.round


def read_vote_record(reader: Reader) -> _Record:
    """Kind, epoch, view and block of a journaled vote: u8 tag, u64 epoch, u8 kind, u64 view, hash."""
    reader.take(U8.size_bytes)
    epoch, kind, view = U64.read(reader), U8.read(reader), U64.read(reader)
    return kind, epoch, view, HASH.read(reader)
