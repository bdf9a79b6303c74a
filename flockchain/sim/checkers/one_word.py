"""An honest committee member says one thing a round: one commit, one reveal, one aggregate vote, across restarts.

Judged by what leaves the machine with the member's own signature: what a node passes on in its own name, and never
said, is another's forgery. The same bytes again are no second word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from flockchain.crypto import ed25519
from flockchain.crypto.signing import compute_aggregate_bytes, compute_score_commit_bytes, compute_score_reveal_bytes
from flockchain.gossip import messages as wire
from flockchain.primitives.learning import (
    AGGREGATE_VOTE,
    LEARNING_ITEM,
    AggregateCertificate,
    AggregateVote,
    ScoreCommit,
    ScoreReveal,
)
from flockchain.primitives.numbers import NodeId
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.sim.checkers.checker import Checker, Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["OneWord", "Word", "iterate_words"]

Word = ScoreCommit | ScoreReveal | AggregateVote
_KINDS = (wire.MessageKind.LEARNING, wire.MessageKind.AGGREGATE_VOTE)


class OneWord(Checker):
    """Keeps the bytes of every word of every honest member."""

    def __init__(self) -> None:
        self._said: dict[tuple[NodeId, type, int, int], bytes] = {}

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        is_judged = node.adversary is None and isinstance(effect, SendMessage) and effect.payload[0] in _KINDS
        return self._judge(node, effect) if is_judged else ()

    def _judge(self, node: SimNode, effect: ReplicaEffect) -> Iterator[Violation]:
        for word in iterate_words(node, effect):
            raw = AGGREGATE_VOTE.encode(word) if isinstance(word, AggregateVote) else LEARNING_ITEM.encode(word)
            key = (node.node_id, type(word), word.task, word.round)
            if self._said.setdefault(key, raw) != raw:
                name = f"{node.node_id[:4].hex()} signed two {type(word).__name__}"
                yield Violation("one word", f"{name} in task {word.task} round {word.round}")


def iterate_words(node: SimNode, effect: ReplicaEffect) -> Iterator[Word]:
    """What the effect sends with the node's own signature."""
    if not isinstance(effect, SendMessage) or effect.payload[0] not in _KINDS:
        return
    message = wire.decode_message(effect.payload)
    words: tuple[Word | AggregateCertificate, ...] = ()
    if isinstance(message, wire.LearningMessage):
        words = message.items
    elif isinstance(message, wire.AggregateVoteMessage):
        words = (message.vote,)
    for word in words:
        if not isinstance(word, AggregateCertificate) and word.voter == node.account and _is_signed(node, word):
            yield word


def _is_signed(node: SimNode, word: Word) -> bool:
    """Whether it is the node's own signature."""
    genesis_hash, secrets, bls = node.genesis_hash, node.secrets, node.world.bls
    if isinstance(word, AggregateVote):
        message = compute_aggregate_bytes(
            genesis_hash, word.task, word.round, word.results_root, word.aggregate, word.aggregate_bytes
        )
        return bls.verify(secrets.get_certificate_key(bls), message, word.signature)
    if isinstance(word, ScoreCommit):
        message = compute_score_commit_bytes(genesis_hash, word)
    else:
        message = compute_score_reveal_bytes(genesis_hash, word)
    return ed25519.verify(secrets.score_key, message, word.signature)
