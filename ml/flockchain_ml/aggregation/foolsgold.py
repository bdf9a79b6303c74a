"""FoolsGold: trainers whose histories point the same way are taken for one attacker with many names.

Updates with a twin lose their weight, equal ones all of it: honest trainers are thought to differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from flockchain.primitives.learning import AdapterMode
from flockchain_ml.aggregation.changes import decode_changes
from flockchain_ml.aggregation.products import Matrix, compute_cosines, compute_metric, decode_factors
from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome, RuleCard, Told
from flockchain_ml.aggregation.state import decode_state, encode_state, get_part
from flockchain_ml.aggregation.weighting import build_mean_outcome, build_unmoved_outcome, find_present

__all__ = ["FoolsGold", "compute_credibility"]


@dataclass(frozen=True, slots=True)
class FoolsGold:
    """Credibilities from the cosines of all that each trainer ever sent; the mean is weighted by them."""

    name: ClassVar[str] = "foolsgold"
    needs_scores: ClassVar[bool] = False
    card: ClassVar[RuleCard] = RuleCard(
        paper="Fung, Yoon, Beschastnikh: The limitations of federated learning in Sybil settings (RAID 2020)",
        weights="credibility times weight is the update's share of the mean; absent updates add nothing to a history",
        told=frozenset({Told.TRAINERS}),
        state="the sum of every trainer's updates",
    )

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        present = find_present(round)
        if not present:
            return build_unmoved_outcome(round), state
        memory, names = decode_state(state), round.get_trainers()
        changes = decode_changes(round.spec, [round.updates[index] for index in present])
        for index, change in zip(present, changes, strict=True):
            for module, values in change.items():
                key = f"{names[index].encode('utf-8').hex()}/{module}"
                memory[key] = memory[key] + values if key in memory else values
        histories = [get_part(memory, names[index].encode("utf-8").hex()) for index in present]
        credibility = compute_credibility(compute_cosines(_compute_history_gram(round, histories)))
        weights = round.get_weights()
        shares = {index: weights[index] * float(own) for index, own in zip(present, credibility, strict=True)}
        return build_mean_outcome(round, shares), encode_state(memory)


def compute_credibility(cosines: Matrix) -> Matrix:
    """[n] from 0 to 1, by the paper's algorithm: pardoning, then the logit stretched around one half."""
    count = len(cosines)
    if count == 1:
        return np.ones(1)
    similar = np.where(np.eye(count, dtype=bool), 0.0, cosines)  # to itself everybody is a stranger, not a twin
    closest = similar.max(axis=1)
    pardon = np.ones((count, count))
    mine, theirs = np.broadcast_arrays(closest[:, None], closest[None, :])
    np.divide(mine, theirs, out=pardon, where=theirs > mine)
    credibility = np.clip(1 - (similar * pardon).max(axis=1), 0, 1)
    if credibility.max() <= 1e-9:
        return np.zeros(count)
    credibility = np.clip(credibility / credibility.max(), 1e-12, 0.99)
    return np.asarray(np.clip(np.log(credibility / (1 - credibility)) + 0.5, 0, 1))


def _compute_history_gram(round: RoundInput, histories: Sequence[Mapping[str, Matrix]]) -> Matrix:
    """[n, n] inner products of histories as products."""
    gram = np.zeros((len(histories), len(histories)))
    frozen = decode_factors(round.spec, round.updates[:1])[0].a
    for module in round.spec.modules:
        values = np.stack([history[module.name] for history in histories])
        if round.spec.mode is AdapterMode.FFA:
            values = values @ compute_metric(frozen[module.name])
        flat = values.reshape(len(histories), -1)
        gram += flat @ flat.T
    return gram
