"""Safe-FedLLM, evidence level (arXiv 2601.07177, revision of June 2026): shadow trainings until three of them agree.

A client's shadow trainings are collected by threes; one is malicious if its last step scores at least 0.8, and a
missing one counts as benign. Until then w = (1 − r)⁷ of the round.

    three malicious: w = 0 for ever            three benign: w is frozen at their mean            mixed: start again
    frozen: every 5th participation is an audit; it fails if malicious: w = 0 in that round, and evidence starts again

The evidence is the client's own word.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import ClassVar, Final

from flockchain.primitives.codec import BOOL, U8, Codec, EnumOf, ListOf, struct
from flockchain_ml.defences.defence import Reading, Weights
from flockchain_ml.defences.memory import MEMORY_CODEC_TRAINER, Memory, build_memory, build_memory_codec
from flockchain_ml.defences.view import Claim, RoundView, Submission
from flockchain_ml.defences.weighing import compute_shadow_trust, compute_weights
from flockchain_ml.probes import HARM_THRESHOLD
from flockchain_ml.probes.reals import F64

__all__ = ["AUDIT_EVERY", "EVIDENCE_NEEDED", "Evidence", "EvidenceRecord", "SafeEvidence", "Standing"]

EVIDENCE_NEEDED: Final = 3
AUDIT_EVERY: Final = 5  # participations


class Standing(IntEnum):
    """What is settled about a client."""

    OPEN = 0
    BENIGN = 1
    MALICIOUS = 2


@dataclass(frozen=True, slots=True)
class Evidence:
    """One shadow training: its (1 − r)⁷ and whether its last step was harmful."""

    trust: float
    is_malicious: bool


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """`collected`: fewer than three, while OPEN. `trust`: frozen, while BENIGN. `unaudited`: participations since."""

    trainer: bytes
    standing: Standing = Standing.OPEN
    collected: tuple[Evidence, ...] = ()
    trust: float = 0.0
    unaudited: int = 0


@dataclass(frozen=True, slots=True)
class SafeEvidence:
    """Weights n·w under the safety gate."""

    name: ClassVar[str] = "safe-evidence"
    reads: ClassVar[frozenset[Reading]] = frozenset({Reading.SAMPLES, Reading.SHADOW_SCORES})
    weighs_samples: ClassVar[bool] = True
    codec: ClassVar[Codec[Memory[EvidenceRecord]]] = build_memory_codec(
        struct(
            EvidenceRecord,
            trainer=MEMORY_CODEC_TRAINER,
            standing=EnumOf(Standing),
            collected=ListOf(struct(Evidence, trust=F64, is_malicious=BOOL), EVIDENCE_NEEDED - 1),
            trust=F64,
            unaudited=U8,
        )
    )

    def get_initial(self) -> Memory[EvidenceRecord]:
        return Memory()

    def is_shadow_due(self, state: Memory[EvidenceRecord], trainer: bytes) -> bool:
        """Whether this trainer owes a shadow training in its next round."""
        record = state.get_by_trainer().get(trainer, EvidenceRecord(trainer))
        if record.standing is Standing.BENIGN:
            return record.unaudited + 1 >= AUDIT_EVERY
        return record.standing is Standing.OPEN

    def weigh(self, view: RoundView, state: Memory[EvidenceRecord]) -> tuple[Weights, Memory[EvidenceRecord]]:
        known = state.get_by_trainer()
        trusts = []
        for submission in view.submissions:
            record = known.get(submission.trainer, EvidenceRecord(submission.trainer))
            trust, known[submission.trainer] = _weigh_one(record, submission)
            trusts.append(trust)
        return compute_weights(view, trusts), build_memory(known)


def _weigh_one(record: EvidenceRecord, submission: Submission) -> tuple[float, EvidenceRecord]:
    if record.standing is Standing.MALICIOUS:
        return 0.0, record
    if record.standing is Standing.OPEN:
        return _collect(record, Evidence(compute_shadow_trust(submission.claim), _is_malicious(submission.claim)))
    if record.unaudited + 1 < AUDIT_EVERY:
        return record.trust, replace(record, unaudited=record.unaudited + 1)
    if _is_malicious(submission.claim):
        return 0.0, EvidenceRecord(record.trainer)
    return record.trust, replace(record, unaudited=0)


def _collect(record: EvidenceRecord, latest: Evidence) -> tuple[float, EvidenceRecord]:
    collected = (*record.collected, latest)
    if len(collected) < EVIDENCE_NEEDED:
        return latest.trust, replace(record, collected=collected)
    verdicts = {evidence.is_malicious for evidence in collected}
    if verdicts == {True}:
        return 0.0, EvidenceRecord(record.trainer, Standing.MALICIOUS)
    if verdicts == {False}:
        mean = sum(evidence.trust for evidence in collected) / EVIDENCE_NEEDED
        return mean, EvidenceRecord(record.trainer, Standing.BENIGN, trust=mean)
    return latest.trust, EvidenceRecord(record.trainer)


def _is_malicious(claim: Claim | None) -> bool:
    scores = claim.shadow_scores if claim is not None else None
    return scores is not None and len(scores) > 0 and scores[-1] >= HARM_THRESHOLD
