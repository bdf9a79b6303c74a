"""A peer that fills whatever can be filled: pools, queues of early messages, evidence; and boasts of its height.

What it sends is well formed and worth nothing. It signs only in its own name, and nothing that contradicts itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from flockchain.crypto import ed25519
from flockchain.crypto.hashing import sha256
from flockchain.gossip import messages as wire
from flockchain.primitives.evidence import EVIDENCE, VoteEvidence
from flockchain.primitives.extrinsic import Call, ExtrinsicPayload
from flockchain.primitives.learning import AggregateVote, LearningItem, ScoreCommit
from flockchain.primitives.numbers import ZERO_HASH, AccountId, Epoch, Hash, Height, Nonce, Round, TaskId, View
from flockchain.primitives.vote import Vote, VoteKind
from flockchain.replica.effects import ReplicaEffect, SendMessage, ViewEntered
from flockchain.runtime.dev_keys import derive_dev_account
from flockchain.runtime.extrinsics import sign_extrinsic

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["FLOODER_ACCOUNT", "Flooder"]

FLOODER_ACCOUNT: Final = "flooder"  # a development account with money for fees

_EVERY_VIEWS: Final = 24
_ITEMS: Final = 200
_BATCHES: Final = 6  # more items than a node keeps of one source
_EARLY: Final = 300  # more than a node keeps of the epoch to come
_EVIDENCE: Final = 40
_EXTRINSICS: Final = 600  # more than a node keeps of one sender
_BOAST: Final = Height(1_000_000)


class Flooder:
    """Sends everything at once, once in a few views."""

    def __init__(self) -> None:
        self._views = 0
        self._has_spammed = False

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        replica = node.replica
        if replica is None or not any(isinstance(effect, ViewEntered) for effect in effects):
            return effects
        self._views += 1
        peers = replica.relay.peers
        if self._views % _EVERY_VIEWS != 1 or not peers:
            return effects
        node.world.mark("flood")
        flood = [*self._spam(node), *_flood(node, replica.core.epoch, self._views)]
        return [*effects, *(SendMessage(peers, wire.encode_message(message)) for message in flood)]

    def _spam(self, node: SimNode) -> Iterator[wire.PeerMessage]:
        """Extrinsics behind a gap of nonces, which wait for as long as they live."""
        if not self._has_spammed:
            self._has_spammed = True
            yield wire.ExtrinsicsMessage(tuple(_sign_remark(node, nonce) for nonce in range(1, _EXTRINSICS + 1)))


def _flood(node: SimNode, epoch: Epoch, burst: int) -> Iterator[wire.PeerMessage]:
    yield wire.StatusMessage(_BOAST, sha256(b"a head of nobody"), epoch, View(1))
    for batch in range(_BATCHES):
        yield wire.LearningMessage(tuple(_make_item(burst, batch, at) for at in range(_ITEMS)))
        task = TaskId(batch)
        yield wire.AggregateVoteMessage(
            AggregateVote(task, Round(burst), ZERO_HASH, ZERO_HASH, 1, AccountId(node.account), bytes(96))
        )
    for view in range(_EARLY):
        yield wire.VoteMessage(_make_vote(Epoch(epoch + 1), VoteKind.NULLIFY, ZERO_HASH, view))
    for view in range(_EVIDENCE):
        votes = [_make_vote(epoch, VoteKind.FINALIZE, sha256(bytes([side])), 1_000 * burst + view) for side in (1, 2)]
        first, second = sorted(votes, key=lambda vote: vote.block_hash)
        yield wire.EvidenceMessage(EVIDENCE.encode(VoteEvidence(first, second)))


def _make_item(burst: int, batch: int, at: int) -> LearningItem:
    voter = AccountId(sha256(bytes([batch, at])))
    return ScoreCommit(TaskId(0), Round(1_000 + burst), voter, sha256(voter), bytes(64))


def _make_vote(epoch: Epoch, kind: VoteKind, block_hash: Hash, view: int) -> Vote:
    return Vote(kind, epoch, View(view + 1), block_hash, 0, bytes(96))


def _sign_remark(node: SimNode, nonce: int) -> bytes:
    seed = derive_dev_account(FLOODER_ACCOUNT)
    payload = ExtrinsicPayload(
        sender=AccountId(ed25519.get_public_key(seed)), nonce=Nonce(nonce), tip=0, birth=Height(node.get_height()),
        lifetime_blocks=32, spec_version=1, call=Call(0, 0, bytes(4)),
    )  # fmt: skip
    return sign_extrinsic(seed, node.genesis_hash, payload)
