"""The accumulated vote: reputation over rounds, and action only when there is something to act on.

With s the round's score of an update and R its trainer's reputation (0 for a newcomer), in micro-nats:

    R <- min(cap, trunc(4R / 5) + s)        M = sum of max(0, -R) over the round's updates
    M > mass_threshold: accept those with R >= floor; otherwise accept all.

This is the reference in plain integers of the rule that the chain applies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome, RuleCard, Told
from flockchain_ml.aggregation.weighting import build_mean_outcome, find_present

__all__ = ["Accumulated", "compute_accepted", "compute_reputations"]


@dataclass(frozen=True, slots=True)
class Accumulated:
    """Thresholds in micro-nats per token; they belong to a task and are calibrated by rehearsal."""

    name: ClassVar[str] = "accumulated"
    needs_scores: ClassVar[bool] = True
    card: ClassVar[RuleCard] = RuleCard(
        paper="flockchain's own",
        weights="share of the mean of the accepted; an absent update counts nowhere and its reputation stays",
        told=frozenset({Told.SCORES}),
        state="reputations, in the round and its outcome",
        is_exact=True,
    )

    reputation_cap: int = 5_000
    mass_threshold: int = 80_000
    reputation_floor: int = -10_000

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        present = sorted(find_present(round))
        known = compute_reputations(
            [round.reputations[index] for index in present], [round.scores[index] for index in present],
            self.reputation_cap,
        )  # fmt: skip
        accepted = compute_accepted(known, self.mass_threshold, self.reputation_floor)
        weights = round.get_weights()
        outcome = build_mean_outcome(round, {present[at]: weights[present[at]] for at in accepted})
        after = dict(zip(present, known, strict=True))
        reputations = tuple(after.get(index, before) for index, before in enumerate(round.reputations))
        return replace(outcome, reputations=reputations), state


def compute_reputations(before: Sequence[int], scores: Sequence[int], cap: int) -> tuple[int, ...]:
    """R after the round; the fifth that fades is truncated towards zero."""
    return tuple(min(cap, _fade(old) + score) for old, score in zip(before, scores, strict=True))


def compute_accepted(reputations: Sequence[int], mass_threshold: int, reputation_floor: int) -> tuple[int, ...]:
    """The positions of the accepted updates, ascending."""
    mass = sum(max(0, -reputation) for reputation in reputations)
    return tuple(
        index
        for index, reputation in enumerate(reputations)
        if mass <= mass_threshold or reputation >= reputation_floor
    )


def _fade(reputation: int) -> int:
    faded = 4 * abs(reputation) // 5
    return faded if reputation >= 0 else -faded
