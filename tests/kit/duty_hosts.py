"""Four members with real duty cores on the tests' chain: a host that performs effects, and a world that makes blocks.

A host keeps what survives a kill (journal, blobs) apart from what does not (the core, work that is under way). The
world's evaluators are told what to answer; bytes, findings, aggregates, signatures and state are real.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from flockchain.duties import (
    Aggregate,
    AggregateDone,
    BlobFailed,
    BlobFetched,
    DutyConfig,
    DutyCore,
    DutyEffect,
    DutyKeys,
    Evaluate,
    EvaluateDone,
    EvaluateOrder,
    FetchBlob,
    JournalDuty,
    SubmitAggregateVote,
    SubmitItem,
    compute_findings,
)
from flockchain.exact import compute_aggregate
from flockchain.primitives.learning import AggregateCertificate, AggregateVote, LearningItem
from flockchain.primitives.numbers import AccountId, Hash
from flockchain.primitives.rounds import RoundRecord
from flockchain.primitives.vote import encode_bitmap
from flockchain.runtime import learning_views
from flockchain.storage.blobs import compute_blob_root
from tests.kit.learning import LearningChain, build_losses

__all__ = ["DutyHost", "DutyWorld", "Evaluator", "score_all"]

Evaluator = Callable[[EvaluateOrder, tuple[Any, ...]], Any]  # (order, findings) -> a result, or None for never


def score_all(order: EvaluateOrder, findings: tuple[Any, ...]) -> EvaluateDone:
    """An evaluator that scores every candidate 1,500."""
    scores = tuple(1_500 if finding is None else None for finding in findings)
    losses = tuple(build_losses(len(order.rows))) if any(score is not None for score in scores) else ()
    return EvaluateDone(order.task, order.round, findings, scores, losses)


@dataclass(slots=True)
class DutyHost:
    """One member's machine."""

    world: DutyWorld
    account: AccountId
    evaluator: Evaluator = score_all
    journal: list[bytes] = field(default_factory=list)
    blobs: dict[Hash, bytes] = field(default_factory=dict)
    orders: list[DutyEffect] = field(default_factory=list)
    is_down: bool = False
    core: DutyCore = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new process: the journal and the blobs are there, nothing else."""
        chain = self.world.learning.chain
        secrets = chain.secrets[self.account]
        keys = DutyKeys(self.account, secrets.score_seed, secrets.certificate_secret)
        config = DutyConfig(chain.runtime.genesis_hash, chain.runtime.bls)
        self.core = DutyCore(config, keys, learning_views, self.journal)
        self.is_down = False

    def on_finalized(self) -> None:
        chain = self.world.learning.chain
        if not self.is_down:
            self.perform(self.core.on_finalized(chain.store, chain.height))

    def perform(self, effects: Iterable[DutyEffect]) -> None:
        """In order. A kill in between leaves the rest undone."""
        for effect in effects:
            if self.is_down:
                return
            self.orders.append(effect)
            result = self._do(effect)
            if result is not None:
                self.perform(self.core.on_work_done(result))

    def _do(self, effect: DutyEffect) -> Any:
        match effect:
            case FetchBlob():
                return self._fetch(effect)
            case Evaluate():
                return self._evaluate(effect.order)
            case Aggregate():
                order = effect.order
                previous = self.blobs[order.previous.root] if order.previous is not None else None
                data = compute_aggregate(order.adapter, previous, [self.blobs[blob.root] for blob in order.updates])
                self.blobs[compute_blob_root(data)] = data
                self.world.learning.blobs[compute_blob_root(data)] = data
                return AggregateDone(order.task, order.round, compute_blob_root(data), len(data))
            case JournalDuty():
                self.journal.append(effect.record)
                self.world.on_journaled(self)
            case SubmitItem():
                self.world.items.append(effect.item)
            case SubmitAggregateVote():
                self.world.votes.append(effect.vote)
        return None

    def _fetch(self, effect: FetchBlob) -> BlobFetched | BlobFailed:
        learning = self.world.learning
        data = b"suite" if effect.root == learning.spec.suite_blob else learning.blobs.get(effect.root)
        if data is None:
            return BlobFailed(effect.root)
        self.blobs[effect.root] = data
        return BlobFetched(effect.root)

    def _evaluate(self, order: EvaluateOrder) -> Any:
        blobs = [
            self.blobs.get(update.blob) if is_available else None
            for update, is_available in zip(order.updates, order.is_available, strict=True)
        ]
        return self.evaluator(order, compute_findings(order.spec.adapter, order.updates, blobs))


@dataclass(slots=True)
class DutyWorld:
    """A chain, its members' hosts, and what they have sent."""

    learning: LearningChain
    hosts: list[DutyHost] = field(default_factory=list)
    items: list[LearningItem] = field(default_factory=list)
    votes: list[AggregateVote] = field(default_factory=list)
    on_journaled: Callable[[DutyHost], None] = lambda host: None

    @classmethod
    def start(cls, **fields: Any) -> DutyWorld:
        """A world with a fresh task and a host for each validator."""
        world = cls(LearningChain.start(**fields))
        world.hosts = [DutyHost(world, account) for account in sorted(world.learning.chain.secrets)]
        return world

    def step(self) -> None:
        """One block with everything valid that was sent; every host that is up hears of it."""
        chain = self.learning.chain
        certificate = self._build_certificate(self.learning.round)
        items = (*self.items, *([certificate] if certificate is not None else []))
        chain.apply(chain.build(learning=items))
        for host in self.hosts:
            host.on_finalized()

    def run_round(self, most_blocks: int = 60) -> RoundRecord:
        """Steps until the current round is over; returns it."""
        number = self.learning.record.round
        for _ in range(most_blocks):
            self.step()
            ended = self.learning.get_round(number)
            if ended.ended:
                return ended
        raise AssertionError("the round does not end")

    def _build_certificate(self, record: RoundRecord) -> AggregateCertificate | None:
        votes = {vote.voter: vote for vote in self.votes if (vote.task, vote.round) == (record.task, record.round)}
        indexes = {record.get_member_index(voter): vote for voter, vote in votes.items()}
        if not votes or record.results_root != next(iter(votes.values())).results_root:
            return None
        first = next(iter(votes.values()))
        signature = self.learning.chain.runtime.bls.aggregate([vote.signature for vote in votes.values()])
        return AggregateCertificate(
            first.task, first.round, first.results_root, first.aggregate, first.aggregate_bytes,
            encode_bitmap({index for index in indexes if index is not None}), signature,
        )  # fmt: skip
