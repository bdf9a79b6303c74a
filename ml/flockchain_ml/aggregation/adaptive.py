"""Adaptive optimisation on the server, which FedAdagrad, FedYogi and FedAdam share: all but the second moment.

    m <- β1·m + (1 - β1)·mean      v <- the rule's, from v and mean²      model <- model + rate · m / (√v + tau)

The mean and the model are real values: ΔB dequantised in FFA mode, the product B·A in STACK mode. So `rate` is about
the size of a step of one entry, and `tau` the size of changes under which a step shrinks. v starts at tau², m at 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from flockchain_ml.aggregation.changes import build_change_outcome, compute_mean_change
from flockchain_ml.aggregation.products import Matrix
from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome, RuleCard, Told
from flockchain_ml.aggregation.state import decode_state, encode_state, get_part
from flockchain_ml.aggregation.weighting import build_unmoved_outcome, find_present

__all__ = ["ADAPTIVE_CARD", "ServerSettings", "apply_adaptive_step"]

SecondMoment = Callable[[Matrix, Matrix], Matrix]  # (v before, mean²) -> v

ADAPTIVE_CARD: Final = RuleCard(
    paper="Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan: Adaptive federated optimization (ICLR 2021)",
    weights="weight times rows is the update's share of the mean that the server's optimiser takes as its gradient",
    told=frozenset({Told.SAMPLES}),
    state="first and second moment",
)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The server's learning rate, the paper's τ and β1."""

    rate: float
    tau: float
    beta1: float


def apply_adaptive_step(
    round: RoundInput, state: bytes, settings: ServerSettings, second_moment: SecondMoment
) -> tuple[RoundOutcome, bytes]:
    """One step of the server, and its moments after it."""
    weights = round.get_sample_weights()
    present = [index for index in find_present(round) if weights[index] > 0]
    if not present:
        return build_unmoved_outcome(round), state
    mean = compute_mean_change(
        round.spec, [round.updates[index] for index in present], [weights[index] for index in present]
    )
    memory = decode_state(state)
    first, second = get_part(memory, "first"), get_part(memory, "second")
    moved, after = {}, {}
    for name, values in mean.items():
        m = settings.beta1 * first.get(name, 0.0) + (1 - settings.beta1) * values
        v = second_moment(second.get(name, np.full_like(values, settings.tau**2)), values**2)
        moved[name] = settings.rate * m / (np.sqrt(v) + settings.tau)
        after[f"first/{name}"], after[f"second/{name}"] = m, v
    return build_change_outcome(round, present, moved), encode_state(after)
