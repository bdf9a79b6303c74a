"""The learning side of one participant: items that wait for a block, and this member's own duties.

Knows the learning pool, the duty core and the state's views of rounds. Does not evaluate anything: work
orders go out as effects, their results come back as events.
"""

from __future__ import annotations

from collections.abc import Iterable

from flockchain.crypto.bls import BlsBackend
from flockchain.duties import (
    Aggregate,
    DutyCore,
    DutyEffect,
    Evaluate,
    FetchBlob,
    JournalDuty,
    SubmitAggregateVote,
    SubmitItem,
)
from flockchain.gossip.messages import AggregateVoteMessage, LearningMessage, PeerMessage
from flockchain.mempool.learning_pool import Judgement, LearningPool, LearningPoolFull
from flockchain.primitives.learning import (
    AggregateCertificate,
    AggregateVote,
    LearningItem,
    Phase,
    ScoreCommit,
    ScoreReveal,
)
from flockchain.primitives.limits import LEARNING_ITEMS_PER_BLOCK_MAX
from flockchain.primitives.numbers import Hash, Height, NodeId, Round, TaskId
from flockchain.primitives.rounds import RoundRecord
from flockchain.primitives.validator_set import ValidatorSet
from flockchain.replica.effects import PersistDuty, Work
from flockchain.runtime.learning_views import find_clock, find_member, find_round, is_round_over
from flockchain.storage.overlay import StateReader

__all__ = ["LearningDesk", "is_expected"]

_PHASE_OF = {ScoreCommit: Phase.COMMIT, ScoreReveal: Phase.REVEAL, AggregateCertificate: Phase.AGGREGATE}


class LearningDesk:
    """Collects the proof-of-validation items of all members and hands in our own."""

    def __init__(self, genesis_hash: Hash, bls: BlsBackend, duties: DutyCore | None) -> None:
        self._genesis_hash = genesis_hash
        self._bls = bls
        self._duties = duties
        self._pool = LearningPool()

    @property
    def waiting_count(self) -> int:
        """How many items and aggregate votes wait."""
        return len(self._pool)

    def on_finalized(
        self, state: StateReader, height: Height, *, is_live: bool
    ) -> tuple[list[PersistDuty | Work], list[PeerMessage]]:
        """A finalized state: forget rounds that are over; take up duties if it `is_live`, not one from the past."""
        self._pool.forget(lambda task, round_: is_round_over(state, task, round_))
        return self._perform(self._duties.on_finalized(state, height) if self._duties and is_live else [])

    def on_work_done(self, result: object) -> tuple[list[PersistDuty | Work], list[PeerMessage]]:
        """The result of one of our work orders."""
        return self._perform(self._duties.on_work_done(result) if self._duties else [])

    def on_items(self, items: Iterable[LearningItem], source: NodeId | None) -> bool:
        """Items from gossip; True if any is new. A neighbour over its quota is not heard."""
        is_news = False
        try:
            for item in items:
                is_news = self._pool.add_item(item, source) or is_news
        except LearningPoolFull:
            return is_news
        return is_news

    def on_vote(self, vote: AggregateVote, source: NodeId | None) -> bool:
        """A member's signature over an aggregate; True if it is new."""
        try:
            return self._pool.add_vote(vote, source)
        except LearningPoolFull:
            return False

    def on_source_gone(self, source: NodeId) -> None:
        self._pool.on_source_gone(source)

    def take_for_block(self, state: StateReader) -> list[LearningItem]:
        """Items that a block on top of `state` can carry, with certificates built from the votes that wait."""
        for task, round_ in self._pool.get_rounds_with_votes():
            record = find_round(state, task, round_)
            if record is None or record.phase is not Phase.AGGREGATE:
                continue
            certificate = self._pool.build_certificate(
                self._bls, self._genesis_hash, task, round_, record.results_root, record.committee
            )
            if certificate is not None:
                self.on_items([certificate], None)
        rounds: dict[tuple[TaskId, Round], RoundRecord | None] = {}

        def judge(item: LearningItem) -> Judgement:
            key = (item.task, item.round)
            if key not in rounds:
                rounds[key] = find_round(state, item.task, item.round)
            return _judge(rounds[key], item)

        return self._pool.take(judge, LEARNING_ITEMS_PER_BLOCK_MAX)

    def on_built(self, offered: Iterable[LearningItem], taken: Iterable[LearningItem]) -> None:
        """A block of ours left out some of the items that we offered: they break a rule. Forget them."""
        held = set(taken)
        self._pool.discard(item for item in offered if item not in held)

    def get_greetings(self) -> list[PeerMessage]:
        """What a new neighbour should hear: everything that still waits."""
        waiting = self._pool.get_items()
        items = tuple(item for item in waiting if not isinstance(item, AggregateVote))
        votes: list[PeerMessage] = [AggregateVoteMessage(vote) for vote in waiting if isinstance(vote, AggregateVote)]
        batches: list[PeerMessage] = [
            LearningMessage(items[start : start + LEARNING_ITEMS_PER_BLOCK_MAX])
            for start in range(0, len(items), LEARNING_ITEMS_PER_BLOCK_MAX)
        ]
        return batches + votes

    def _perform(self, effects: Iterable[DutyEffect]) -> tuple[list[PersistDuty | Work], list[PeerMessage]]:
        """Duty effects as the replica's, in order, and the gossip that must follow all of them."""
        work: list[PersistDuty | Work] = []
        gossip: list[PeerMessage] = []
        for effect in effects:
            match effect:
                case JournalDuty():
                    work.append(PersistDuty(effect.record))
                case SubmitItem():
                    self.on_items([effect.item], None)
                    gossip.append(LearningMessage((effect.item,)))
                case SubmitAggregateVote():
                    self.on_vote(effect.vote, None)
                    gossip.append(AggregateVoteMessage(effect.vote))
                case FetchBlob() | Evaluate() | Aggregate():
                    work.append(Work(effect))
        return work, gossip


def is_expected(state: StateReader, validators: ValidatorSet, item: LearningItem | AggregateVote) -> bool:
    """Whether a peer's item can be of use: of a round under way, by a member, or by a validator before the draw.

    So what waits of one source is bounded by who there is, and junk cannot take the place of what a neighbour passes
    on. What comes too early here is said again by its member (D6).
    """
    clock = find_clock(state, item.task, item.round)
    if clock is None or is_round_over(state, item.task, item.round):
        return False
    if isinstance(item, AggregateCertificate):
        return clock.phase is Phase.AGGREGATE
    if clock.phase is Phase.SUBMIT:
        return validators.get_index_of(item.voter) is not None
    return find_member(state, item.task, item.round, item.voter) is not None


def _judge(record: RoundRecord | None, item: LearningItem) -> Judgement:
    """Whether the item's phase is here. Its signature and content are judged by the pallets when the block is built."""
    phase = _PHASE_OF[type(item)]
    if record is None or record.phase < phase:
        return Judgement.LATER
    if record.phase > phase:
        return Judgement.NEVER
    done = record.commits if isinstance(item, ScoreCommit) else record.reveals
    if not isinstance(item, AggregateCertificate) and any(entry.voter == item.voter for entry in done):
        return Judgement.NEVER
    return Judgement.GOOD
