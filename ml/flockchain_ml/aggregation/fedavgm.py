"""FedAvgM: the mean of the updates with momentum on the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flockchain_ml.aggregation.changes import build_change_outcome, compute_mean_change
from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome, RuleCard, Told
from flockchain_ml.aggregation.state import decode_state, encode_state, get_part
from flockchain_ml.aggregation.weighting import build_unmoved_outcome, find_present

__all__ = ["FedAvgM"]


@dataclass(frozen=True, slots=True)
class FedAvgM:
    """v <- momentum · v + mean; the model moves by server_rate · v. In real values, not in fixed-point steps."""

    name: ClassVar[str] = "fedavgm"
    needs_scores: ClassVar[bool] = False
    card: ClassVar[RuleCard] = RuleCard(
        paper="Hsu, Qi, Brown: Measuring the effects of non-identical data distribution for federated visual "
        "classification (arXiv 1909.06335, 2019)",
        weights="weight times rows is the update's share of the mean that the momentum takes in",
        told=frozenset({Told.SAMPLES}),
        state="momentum",
    )

    momentum: float = 0.9
    server_rate: float = 1.0

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        weights = round.get_sample_weights()
        present = [index for index in find_present(round) if weights[index] > 0]
        if not present:
            return build_unmoved_outcome(round), state
        mean = compute_mean_change(
            round.spec, [round.updates[index] for index in present], [weights[index] for index in present]
        )
        before = get_part(decode_state(state), "momentum")
        velocity = {name: self.momentum * before.get(name, 0.0) + values for name, values in mean.items()}
        moved = {name: self.server_rate * values for name, values in velocity.items()}
        after = encode_state({f"momentum/{name}": values for name, values in velocity.items()})
        return build_change_outcome(round, present, moved), after
