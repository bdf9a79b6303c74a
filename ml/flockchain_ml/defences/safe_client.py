"""Safe-FedLLM, client level (arXiv 2601.07177): the running mean of a trust that falls with the last step's score.

    s ≤ 0.8: t = ½σ(10(s/0.8 − ½))      s > 0.8: t = ½ + ½σ(10((s − 0.8)/0.2 − ½))      w = mean over rounds of 1 − t

A missing score counts as s = 1. It learns in the first 20 rounds; a client first seen after them has w = 1.
The paper takes s from what the client reports. Who trained honestly uploads just that last step, so validators can take
it from the upload instead, and need to believe nobody: `source`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

from flockchain.primitives.codec import U32, Codec, struct
from flockchain_ml.defences.defence import Reading, Weights
from flockchain_ml.defences.memory import MEMORY_CODEC_TRAINER, Memory, build_memory, build_memory_codec
from flockchain_ml.defences.view import RoundView, Submission
from flockchain_ml.defences.weighing import ACTIVE_ROUNDS, compute_weights
from flockchain_ml.probes import HARM_THRESHOLD
from flockchain_ml.probes.logistic import compute_sigmoid
from flockchain_ml.probes.reals import F64

__all__ = ["MeanTrust", "SafeClient", "Source", "compute_suspicion"]

_STEEPNESS: Final = 10.0


class Source(StrEnum):
    """Where the score of the last step comes from."""

    CLAIM = "claim"
    UPLOAD = "upload"


@dataclass(frozen=True, slots=True)
class MeanTrust:
    """The mean of 1 − t over the rounds that count."""

    trainer: bytes
    mean: float
    rounds: int


@dataclass(frozen=True, slots=True)
class SafeClient:
    """Weights n·w under the safety gate."""

    codec: ClassVar[Codec[Memory[MeanTrust]]] = build_memory_codec(
        struct(MeanTrust, trainer=MEMORY_CODEC_TRAINER, mean=F64, rounds=U32)
    )
    weighs_samples: ClassVar[bool] = True

    source: Source = Source.CLAIM

    @property
    def name(self) -> str:
        return "safe-client" if self.source is Source.CLAIM else f"safe-client-{self.source.value}"

    @property
    def reads(self) -> frozenset[Reading]:
        """n is claimed even where the score is not."""
        score = Reading.STEP_SCORES if self.source is Source.CLAIM else Reading.UPLOAD_SCORE
        return frozenset({Reading.SAMPLES, score})

    def get_initial(self) -> Memory[MeanTrust]:
        return Memory()

    def weigh(self, view: RoundView, state: Memory[MeanTrust]) -> tuple[Weights, Memory[MeanTrust]]:
        known = state.get_by_trainer()
        if view.round < ACTIVE_ROUNDS:
            for submission in view.submissions:
                known[submission.trainer] = self._learn(known.get(submission.trainer), submission)
            state = build_memory(known)
        trusts = [known[one.trainer].mean if one.trainer in known else 1.0 for one in view.submissions]
        return compute_weights(view, trusts), state

    def _learn(self, record: MeanTrust | None, submission: Submission) -> MeanTrust:
        mean, rounds = (record.mean, record.rounds) if record is not None else (0.0, 0)
        trust = 1 - compute_suspicion(self._get_score(submission))
        return MeanTrust(submission.trainer, (mean * rounds + trust) / (rounds + 1), rounds + 1)

    def _get_score(self, submission: Submission) -> float:
        if self.source is Source.UPLOAD:
            return 1.0 if submission.upload_score is None else submission.upload_score
        claim = submission.claim
        return claim.step_scores[-1] if claim is not None and claim.step_scores else 1.0


def compute_suspicion(score: float) -> float:
    """t of a last step's score: two sigmoids that meet at ½ where the score is 0.8."""
    if score <= HARM_THRESHOLD:
        return 0.5 * compute_sigmoid(_STEEPNESS * (score / HARM_THRESHOLD - 0.5))
    return 0.5 + 0.5 * compute_sigmoid(_STEEPNESS * ((score - HARM_THRESHOLD) / (1 - HARM_THRESHOLD) - 0.5))
