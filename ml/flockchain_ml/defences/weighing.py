"""What Safe-FedLLM's levels share (arXiv 2601.07177): harm from scored steps, weights from trusts, the safety gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flockchain_ml.defences.defence import Weights
from flockchain_ml.defences.view import Claim, RoundView
from flockchain_ml.probes import HARM_THRESHOLD

__all__ = ["ACTIVE_ROUNDS", "GATE_MEAN_TRUST", "compute_harm", "compute_shadow_trust", "compute_weights"]

ACTIVE_ROUNDS: Final = 20  # step and client level learn in so many rounds, then stay as they are
GATE_MEAN_TRUST: Final = 0.2
_SHADOW_POWER: Final = 7


def compute_harm(claim: Claim | None, scores: Sequence[float]) -> int:
    """harm = min(n, H·b): the samples behind the H steps whose score is at least 0.8, in batches of b."""
    if claim is None:
        return 0
    harmful_steps = sum(score >= HARM_THRESHOLD for score in scores)
    return min(claim.samples, harmful_steps * claim.batch_rows)


def compute_shadow_trust(claim: Claim | None) -> float:
    """w = (1 − r)⁷ with r = harm / n of the shadow training; 1 if there is none, for then no step is harmful."""
    if claim is None or not claim.shadow_scores or claim.samples == 0:
        return 1.0
    ratio = compute_harm(claim, claim.shadow_scores) / claim.samples
    return float((1 - ratio) ** _SHADOW_POWER)


def compute_weights(view: RoundView, trusts: Sequence[float]) -> Weights:
    """n·w, normalised to sum 1. All zero, so that the round is dropped, if the mean w is under 0.2 or nothing is left.

    n is each client's own word.
    """
    zeros = (0.0,) * len(trusts)
    if not trusts or sum(trusts) / len(trusts) < GATE_MEAN_TRUST:
        return zeros
    raw = [submission.samples * trust for submission, trust in zip(view.submissions, trusts, strict=True)]
    total = sum(raw)
    return tuple(weight / total for weight in raw) if total > 0 else zeros
