"""Score commits, reveals, aggregate votes and aggregate certificates that wait for a block.

An item may arrive before our state knows its round, so it is kept unjudged. A source (a neighbour, or ourselves)
holds at most one item per (task, round, kind, voter): garbage in a voter's name takes its sender's place only, never
the voter's. When a block is built, the caller judges each item by the state that the block builds upon.

Does not read state and does not know committees, except the one that it is handed to build a certificate for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from flockchain.crypto.bls import BlsBackend
from flockchain.crypto.hashing import sha256
from flockchain.crypto.signing import compute_aggregate_bytes
from flockchain.primitives.errors import InvalidInput, Refused
from flockchain.primitives.learning import (
    AGGREGATE_VOTE,
    LEARNING_ITEM,
    AggregateCertificate,
    AggregateVote,
    LearningItem,
    ScoreCommit,
    ScoreReveal,
)
from flockchain.primitives.limits import COMMITTEE_MAX, LEARNING_ITEMS_PER_BLOCK_MAX
from flockchain.primitives.numbers import AccountId, Hash, NodeId, Round, Stake, TaskId, is_quorum
from flockchain.primitives.vote import encode_bitmap

__all__ = ["Judgement", "LearningPool", "LearningPoolFull", "LearningPoolLimits", "Signatory"]

_NO_VOTER = AccountId(b"")


class Judgement(IntEnum):
    """What the state says of an item."""

    GOOD = 0  # put it into the block
    LATER = 1  # its round or phase is not here yet
    NEVER = 2  # over, a duplicate, or wrong: forget it


class LearningPoolFull(Refused):
    """A source has as many items waiting as it may have."""


class Signatory(Protocol):
    """A committee member, as far as a certificate is concerned; in the committee's order."""

    @property
    def account(self) -> AccountId: ...

    @property
    def stake(self) -> Stake: ...

    @property
    def certificate_key(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class LearningPoolLimits:
    """How much may wait, for each source."""

    per_source_max: int = 16 * COMMITTEE_MAX


@dataclass(frozen=True, slots=True, order=True)
class _Key:
    task: TaskId
    round: Round
    kind: int  # 0 commit, 1 reveal, 2 certificate, 3 aggregate vote
    voter: AccountId
    source: NodeId  # empty for ourselves


class LearningPool:
    """Bounded by source; one item per source, task, round, kind and voter."""

    def __init__(self, limits: LearningPoolLimits | None = None) -> None:
        self._limits = limits or LearningPoolLimits()
        self._items: dict[_Key, LearningItem | AggregateVote] = {}
        self._digests: dict[Hash, _Key] = {}
        self._counts: dict[NodeId, int] = {}

    def __len__(self) -> int:
        return len(self._items)

    def add_item(self, item: LearningItem, source: NodeId | None) -> bool:
        """Keep `item`; False if it, or another in its place, waits already. Raises `LearningPoolFull`."""
        return self._add(_compute_key(item, source), item, sha256(LEARNING_ITEM.encode(item)))

    def add_vote(self, vote: AggregateVote, source: NodeId | None) -> bool:
        """Keep an aggregate vote; False if it, or another in its place, waits already. Raises `LearningPoolFull`."""
        key = _Key(vote.task, vote.round, 3, vote.voter, source or NodeId(b""))
        return self._add(key, vote, sha256(AGGREGATE_VOTE.encode(vote)))

    def take(
        self, judge: Callable[[LearningItem], Judgement], max_items: int = LEARNING_ITEMS_PER_BLOCK_MAX
    ) -> list[LearningItem]:
        """Items for a block, ordered by task, round, kind and voter; what `judge` calls NEVER is forgotten.

        Where sources differ on what a voter said, each word is in the list: all first ones, then all second ones, and
        so on; the block takes the first that verifies. A taken item stays until the state calls it NEVER: the block
        that carries it may not be finalized.
        """
        judged = {key: judge(item) for key, item in self._items.items() if not isinstance(item, AggregateVote)}
        good: list[tuple[int, LearningItem]] = []
        words: dict[tuple[TaskId, Round, int, AccountId], int] = {}
        for key in sorted(key for key, judgement in judged.items() if judgement is Judgement.GOOD):
            place = (key.task, key.round, key.kind, key.voter)
            words[place] = words.get(place, 0) + 1
            good.append((words[place], self._items[key]))  # type: ignore[arg-type]
        for key in [key for key, judgement in judged.items() if judgement is Judgement.NEVER]:
            self._remove(key)
        good.sort(key=lambda entry: entry[0])
        return [item for _, item in good[:max_items]]

    def discard(self, items: Iterable[LearningItem]) -> None:
        """Forget items that a block of their own phase could not hold: they are wrong, and would never fit."""
        for item in items:
            key = self._digests.get(sha256(LEARNING_ITEM.encode(item)))
            if key is not None:
                self._remove(key)

    def get_items(self) -> list[LearningItem | AggregateVote]:
        """Everything that waits, in order: what a new neighbour is told."""
        return [self._items[key] for key in sorted(self._items)]

    def get_rounds_with_votes(self) -> list[tuple[TaskId, Round]]:
        """The rounds for which an aggregate vote waits, ascending."""
        return sorted({(key.task, key.round) for key in self._items if key.kind == 3})

    def build_certificate(
        self, backend: BlsBackend, genesis_hash: Hash, task: TaskId, round_: Round, results_root: Hash,
        committee: Sequence[Signatory],
    ) -> AggregateCertificate | None:  # fmt: skip
        """The certificate of the first aggregate that more than 2/3 of the committee's stake signed, if there is one.

        Signatures are verified together, and one by one when that fails; votes that do not verify are forgotten.
        """
        indexes = {member.account: index for index, member in enumerate(committee)}
        by_aggregate: dict[tuple[Hash, int], list[tuple[int, _Key, AggregateVote]]] = {}
        for key in sorted(key for key in self._items if (key.task, key.round, key.kind) == (task, round_, 3)):
            vote = self._items[key]
            if not isinstance(vote, AggregateVote):
                continue
            index = indexes.get(vote.voter)
            if index is None:
                self._remove(key)
            elif vote.results_root == results_root:
                by_aggregate.setdefault((vote.aggregate, vote.aggregate_bytes), []).append((index, key, vote))
        for (aggregate, aggregate_bytes), votes in sorted(by_aggregate.items()):
            message = compute_aggregate_bytes(genesis_hash, task, round_, results_root, aggregate, aggregate_bytes)
            signed = self._collect_signatures(backend, message, committee, votes)
            if signed is None:
                continue
            signers, signature = encode_bitmap(set(signed)), backend.aggregate([signed[index] for index in signed])
            return AggregateCertificate(task, round_, results_root, aggregate, aggregate_bytes, signers, signature)
        return None

    def forget(self, is_over: Callable[[TaskId, Round], bool]) -> None:
        """Drop everything of rounds that are over."""
        rounds = {(key.task, key.round) for key in self._items}
        over = {pair for pair in rounds if is_over(*pair)}
        for key in [key for key in self._items if (key.task, key.round) in over]:
            self._remove(key)

    def on_source_gone(self, source: NodeId) -> None:
        """A neighbour left. What it brought stays until its rounds are over; it counts as nobody's quota then."""
        for key in [key for key in self._items if key.source == source]:
            heir = _Key(key.task, key.round, key.kind, key.voter, NodeId(b""))
            item = self._items[key]
            self._remove(key)
            if heir not in self._items and self._counts.get(heir.source, 0) < self._limits.per_source_max:
                self._add(heir, item, sha256(_encode(item)))

    def _collect_signatures(
        self, backend: BlsBackend, message: bytes, committee: Sequence[Signatory],
        votes: Sequence[tuple[int, _Key, AggregateVote]],
    ) -> dict[int, bytes] | None:  # fmt: skip
        """Signatures by index, ascending, if members with a quorum of the stake gave good ones."""
        first = {index: vote.signature for index, _, vote in reversed(votes)}
        if not _has_quorum(committee, first):
            return None
        ordered = dict(sorted(first.items()))
        keys = [committee[index].certificate_key for index in ordered]
        is_conflicted = len(first) != len(votes)
        if not is_conflicted and _is_signed_by_all(backend, keys, message, list(ordered.values())):
            return ordered
        good: dict[int, bytes] = {}
        for index, key, vote in votes:
            if backend.verify(committee[index].certificate_key, message, vote.signature):
                good[index] = vote.signature
            else:
                self._remove(key)
        return dict(sorted(good.items())) if _has_quorum(committee, good) else None

    def _add(self, key: _Key, item: LearningItem | AggregateVote, digest: Hash) -> bool:
        if digest in self._digests or key in self._items:
            return False
        count = self._counts.get(key.source, 0)
        if count >= self._limits.per_source_max:
            raise LearningPoolFull("too many learning items of one source wait", most=self._limits.per_source_max)
        self._items[key] = item
        self._digests[digest] = key
        self._counts[key.source] = count + 1
        return True

    def _remove(self, key: _Key) -> None:
        item = self._items.pop(key)
        self._digests.pop(sha256(_encode(item)), None)
        left = self._counts[key.source] - 1
        if left:
            self._counts[key.source] = left
        else:
            del self._counts[key.source]


def _compute_key(item: LearningItem, source: NodeId | None) -> _Key:
    origin = source or NodeId(b"")
    if isinstance(item, ScoreCommit):
        return _Key(item.task, item.round, 0, item.voter, origin)
    if isinstance(item, ScoreReveal):
        return _Key(item.task, item.round, 1, item.voter, origin)
    return _Key(item.task, item.round, 2, _NO_VOTER, origin)


def _encode(item: LearningItem | AggregateVote) -> bytes:
    return AGGREGATE_VOTE.encode(item) if isinstance(item, AggregateVote) else LEARNING_ITEM.encode(item)


def _has_quorum(committee: Sequence[Signatory], indexes: Iterable[int]) -> bool:
    return is_quorum(sum(committee[index].stake for index in indexes), sum(member.stake for member in committee))


def _is_signed_by_all(backend: BlsBackend, keys: list[bytes], message: bytes, signatures: list[bytes]) -> bool:
    """Whether the aggregate of `signatures` verifies; a signature that is no point of the group makes it False."""
    try:
        return backend.fast_aggregate_verify(keys, message, backend.aggregate(signatures))
    except InvalidInput:
        return False
