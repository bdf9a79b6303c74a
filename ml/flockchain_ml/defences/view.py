"""What a defence sees of a closed round: what clients say of themselves, and what validators found out, kept apart.

A `Claim` is the client's own word: whoever cheats writes it as he likes. All else of a `Submission` comes from the
uploaded bytes and the validators' votes, and nobody has to be believed. Knows no defence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.limits import UPDATES_PER_ROUND_MAX
from flockchain_ml.probes import IntegerTensors

__all__ = ["SAMPLES_MAX", "STEPS_MAX", "TRAINER_BYTES_MAX", "Claim", "RoundView", "Submission", "ViewInvalid"]

STEPS_MAX: Final = 1 << 16  # scored steps in one claim
SAMPLES_MAX: Final = 1 << 40
TRAINER_BYTES_MAX: Final = 32


class ViewInvalid(InvalidInput):
    """A view of a round that contradicts itself."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a client reports of its own training; nobody checks it.

    `step_scores`: the probe's score of ΔB after each local step, oldest first, against the round's global model.
    `shadow_scores`: the same of a shadow training from the initial adapter; None if the client ran or sent none.
    """

    samples: int
    batch_rows: int
    step_scores: tuple[float, ...] = ()
    shadow_scores: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.samples <= SAMPLES_MAX or not 1 <= self.batch_rows <= SAMPLES_MAX:
            raise ViewInvalid("a claim counts samples", samples=self.samples, batch_rows=self.batch_rows)
        for scores in (self.step_scores, self.shadow_scores or ()):
            if len(scores) > STEPS_MAX or not all(0 <= score <= 1 for score in scores):
                raise ViewInvalid("a claim's scores are shares, one a step", most=STEPS_MAX, got=len(scores))


@dataclass(frozen=True, slots=True)
class Submission:
    """One update of the round. What was not computed for a defence that does not read it is None (or a vote of 0).

    `upload_score`: the logistic probe's score of the uploaded ΔB. `tensors`: the upload's integers. `vote`: the
    committee's leave-one-out score, micro-nats.
    """

    trainer: bytes
    claim: Claim | None = None
    upload_score: float | None = None
    tensors: IntegerTensors | None = None
    vote: int = 0

    def __post_init__(self) -> None:
        if not 1 <= len(self.trainer) <= TRAINER_BYTES_MAX:
            raise ViewInvalid("a trainer is known by a few bytes", most=TRAINER_BYTES_MAX, got=len(self.trainer))
        if self.upload_score is not None and not 0 <= self.upload_score <= 1:
            raise ViewInvalid("a probe's score is a share", got=self.upload_score)

    @property
    def samples(self) -> int:
        """As claimed; none without a claim."""
        return self.claim.samples if self.claim is not None else 0


@dataclass(frozen=True, slots=True)
class RoundView:
    """A closed round, counted from 0, in the order of its updates. No trainer appears twice."""

    round: int
    submissions: tuple[Submission, ...]

    def __post_init__(self) -> None:
        trainers = {submission.trainer for submission in self.submissions}
        if self.round < 0 or len(trainers) != len(self.submissions) or len(trainers) > UPDATES_PER_ROUND_MAX:
            raise ViewInvalid("a round has one update a trainer", round=self.round, updates=len(self.submissions))
