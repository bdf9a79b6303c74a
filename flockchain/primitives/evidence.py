"""Proof that a validator signed two things of which an honest one signs at most one (PROTOCOL §2, Evidence)."""

from __future__ import annotations

from dataclasses import dataclass

from flockchain.primitives.codec import UnionOf, struct
from flockchain.primitives.learning import SCORE_COMMIT, ScoreCommit
from flockchain.primitives.vote import VOTE, Vote

__all__ = ["EVIDENCE", "Evidence", "ScoreEvidence", "VoteEvidence"]


@dataclass(frozen=True, slots=True)
class VoteEvidence:
    """Two votes of one signer in one view: two NOTARIZE or two FINALIZE of different blocks, or NULLIFY and FINALIZE.

    Canonical order: the one with the smaller encoding first.
    """

    first: Vote
    second: Vote


@dataclass(frozen=True, slots=True)
class ScoreEvidence:
    """Two different score commits of one voter in one round; the smaller encoding first."""

    first: ScoreCommit
    second: ScoreCommit


Evidence = VoteEvidence | ScoreEvidence

EVIDENCE = UnionOf(
    {
        0: struct(VoteEvidence, first=VOTE, second=VOTE),
        1: struct(ScoreEvidence, first=SCORE_COMMIT, second=SCORE_COMMIT),
    }
)
