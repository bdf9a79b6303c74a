"""The accumulated leave-one-out vote as a defence: weight 1 for an accepted update, 0 for a rejected one.

The arithmetic is the aggregation rule's own, which is the chain's. It reads the committee's votes and no claim.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from flockchain.primitives.codec import I64, Codec, struct
from flockchain_ml.aggregation import Accumulated, compute_accepted, compute_reputations
from flockchain_ml.defences.defence import Reading, Weights
from flockchain_ml.defences.memory import MEMORY_CODEC_TRAINER, Memory, build_memory, build_memory_codec
from flockchain_ml.defences.view import RoundView

__all__ = ["AccumulatedVote", "VoteReputation"]


@dataclass(frozen=True, slots=True)
class VoteReputation:
    """R of one trainer, micro-nats."""

    trainer: bytes
    reputation: int


@dataclass(frozen=True, slots=True)
class AccumulatedVote:
    """With the thresholds of a task's rule."""

    name: ClassVar[str] = "accumulated-vote"
    reads: ClassVar[frozenset[Reading]] = frozenset({Reading.VOTE})
    weighs_samples: ClassVar[bool] = False
    codec: ClassVar[Codec[Memory[VoteReputation]]] = build_memory_codec(
        struct(VoteReputation, trainer=MEMORY_CODEC_TRAINER, reputation=I64)
    )

    rule: Accumulated = field(default_factory=Accumulated)

    def get_initial(self) -> Memory[VoteReputation]:
        return Memory()

    def weigh(self, view: RoundView, state: Memory[VoteReputation]) -> tuple[Weights, Memory[VoteReputation]]:
        known = state.get_by_trainer()
        before = [known[one.trainer].reputation if one.trainer in known else 0 for one in view.submissions]
        votes = [one.vote for one in view.submissions]
        after = compute_reputations(before, votes, self.rule.reputation_cap)
        accepted = set(compute_accepted(after, self.rule.mass_threshold, self.rule.reputation_floor))
        for submission, reputation in zip(view.submissions, after, strict=True):
            known[submission.trainer] = VoteReputation(submission.trainer, reputation)
        return tuple(float(index in accepted) for index in range(len(after))), build_memory(known)
