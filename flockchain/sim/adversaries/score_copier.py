"""A committee member that does not judge: it commits to and reveals what another member did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from flockchain.crypto import ed25519
from flockchain.crypto.signing import compute_score_commit_bytes, compute_score_reveal_bytes
from flockchain.gossip import messages as wire
from flockchain.primitives.learning import ScoreCommit, ScoreReveal
from flockchain.primitives.numbers import Round, TaskId
from flockchain.replica.effects import ReplicaEffect, SendMessage

if TYPE_CHECKING:
    from flockchain.replica.replica import Replica
    from flockchain.sim.sim_node import SimNode

__all__ = ["ScoreCopier"]

_Word = ScoreCommit | ScoreReveal


class ScoreCopier:
    """Keeps its own words to itself, and says those of the first member whose words it heard, in its own name."""

    def __init__(self) -> None:
        self._copied: set[tuple[type, TaskId, Round]] = set()

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        replica = node.replica
        kept = [effect for effect in effects if not _is_own_word(node, effect)]
        if replica is None or not replica.relay.peers:
            return kept
        for word in _read_others(node, replica):
            place = (type(word), word.task, word.round)
            if place not in self._copied:
                self._copied.add(place)
                node.world.mark("score copied")
                message = wire.encode_message(wire.LearningMessage((_say_as_own(node, word),)))
                kept.append(SendMessage(replica.relay.peers, message))
        return kept


def _is_own_word(node: SimNode, effect: ReplicaEffect) -> bool:
    if not isinstance(effect, SendMessage) or effect.payload[0] != wire.MessageKind.LEARNING:
        return False
    items = wire.decode_message(effect.payload).items  # type: ignore[union-attr]
    return any(isinstance(item, _Word) and item.voter == node.account for item in items)


def _read_others(node: SimNode, replica: Replica) -> Iterator[_Word]:
    """Commits and reveals of others that wait in this machine."""
    for message in replica.desk.get_greetings():
        for item in message.items if isinstance(message, wire.LearningMessage) else ():
            if isinstance(item, _Word) and item.voter != node.account:
                yield item


def _say_as_own(node: SimNode, word: _Word) -> _Word:
    seed = node.secrets.score_seed
    own = replace(word, voter=node.account, signature=bytes(64))
    if isinstance(own, ScoreCommit):
        message = compute_score_commit_bytes(node.genesis_hash, own)
    else:
        message = compute_score_reveal_bytes(node.genesis_hash, own)
    return replace(own, signature=ed25519.sign(seed, message))
