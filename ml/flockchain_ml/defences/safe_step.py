"""Safe-FedLLM, step level (arXiv 2601.07177): a Beta reputation over the probe's scores of every local step.

    α ← 0.95α + (n − harm)      β ← 0.95β + harm      w = α / (α + β),      α = β = 1 at first

It learns in the first 20 rounds; afterwards each client keeps its last w, and one never seen before has ½.
n, b and the scores are the client's own word.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Final

from flockchain.primitives.codec import Codec, struct
from flockchain_ml.defences.defence import Reading, Weights
from flockchain_ml.defences.memory import MEMORY_CODEC_TRAINER, Memory, build_memory, build_memory_codec
from flockchain_ml.defences.view import RoundView, Submission
from flockchain_ml.defences.weighing import ACTIVE_ROUNDS, compute_harm, compute_weights
from flockchain_ml.probes.reals import F64

__all__ = ["BetaReputation", "SafeStep"]

_FADING: Final = 0.95


@dataclass(frozen=True, slots=True)
class BetaReputation:
    """Faded counts of benign (α) and harmful (β) samples, with one of each to start from."""

    trainer: bytes
    alpha: float = 1.0
    beta: float = 1.0

    @property
    def trust(self) -> float:
        return self.alpha / (self.alpha + self.beta)


@dataclass(frozen=True, slots=True)
class SafeStep:
    """Weights n·w under the safety gate."""

    name: ClassVar[str] = "safe-step"
    reads: ClassVar[frozenset[Reading]] = frozenset({Reading.SAMPLES, Reading.STEP_SCORES})
    weighs_samples: ClassVar[bool] = True
    codec: ClassVar[Codec[Memory[BetaReputation]]] = build_memory_codec(
        struct(BetaReputation, trainer=MEMORY_CODEC_TRAINER, alpha=F64, beta=F64)
    )

    def get_initial(self) -> Memory[BetaReputation]:
        return Memory()

    def weigh(self, view: RoundView, state: Memory[BetaReputation]) -> tuple[Weights, Memory[BetaReputation]]:
        known = state.get_by_trainer()
        seen = [known.get(one.trainer, BetaReputation(one.trainer)) for one in view.submissions]
        if view.round < ACTIVE_ROUNDS:
            seen = [_learn(record, one) for record, one in zip(seen, view.submissions, strict=True)]
            state = build_memory(known | {record.trainer: record for record in seen})
        return compute_weights(view, [record.trust for record in seen]), state


def _learn(record: BetaReputation, submission: Submission) -> BetaReputation:
    claim = submission.claim
    harm = compute_harm(claim, claim.step_scores if claim is not None else ())
    return replace(
        record,
        alpha=_FADING * record.alpha + (submission.samples - harm),
        beta=_FADING * record.beta + harm,
    )
