"""SCAFFOLD: control variates take each trainer's own drift out of its steps.

Trainer i steps along its gradient plus c - c_i; afterwards, by option II of the paper,

    c_i <- c_i - c - Δ_i / Σ rates        c <- c + |S|/N · Σ share_i · (change of c_i)

with Δ_i the uploaded change of B and Σ rates the learning rates of its steps added up (the paper's K·η). The rule
computes c_i from the upload, so nobody reports one: what a trainer says of itself is not needed. With AdamW, "gradient"
is the direction of its step. The variates are B's in the frozen A's coordinates, so STACK, whose A is new each
round, has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain_ml.aggregation.changes import build_change_outcome, decode_changes
from flockchain_ml.aggregation.rule import NO_HOOK, ClientHook, RoundInput, RoundOutcome, RuleCard, RuleUnfit, Told
from flockchain_ml.aggregation.state import decode_state, encode_state, get_part
from flockchain_ml.aggregation.weighting import build_unmoved_outcome, find_present

__all__ = ["Scaffold"]


@dataclass(frozen=True, slots=True)
class Scaffold:
    """`population`: N, all trainers there are; 0 counts those seen so far. `server_rate`: the paper's global step."""

    name: ClassVar[str] = "scaffold"
    needs_scores: ClassVar[bool] = False
    card: ClassVar[RuleCard] = RuleCard(
        paper="Karimireddy, Kale, Mohri, Reddi, Stich, Suresh: SCAFFOLD: stochastic controlled averaging for federated "
        "learning (ICML 2020)",
        weights="shares of the mean and of the change of the common variate; of absent trainers nothing is learnt",
        told=frozenset({Told.TRAINERS, Told.RATE_SUM}),
        state="the common control variate and every trainer's",
        asks="control variate",
        modes=(AdapterMode.FFA,),
    )

    server_rate: float = 1.0
    population: int = 0

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        if round.spec.mode is not AdapterMode.FFA:
            raise RuleUnfit("control variates need an A that all rounds share", mode=round.spec.mode.name)
        if round.rate_sum <= 0:
            raise RuleUnfit("control variates need the sum of the trainers' rates", rate_sum=round.rate_sum)
        present = find_present(round)
        if not present:
            return build_unmoved_outcome(round), state
        memory, names = decode_state(state), round.get_trainers()
        weights = np.array(round.get_weights())[list(present)]
        changes = decode_changes(round.spec, [round.updates[index] for index in present])
        seen = {name.partition("/")[0] for name in get_part(memory, "own")} | {_digest(names[i]) for i in present}
        factor = len(present) / max(self.population, len(seen))
        moved, kept = {}, dict(memory)
        for module in round.spec.modules:
            common = memory.get(f"common/{module.name}", np.zeros_like(changes[0][module.name]))
            drift, mean = np.zeros_like(common), np.zeros_like(common)
            for index, change, share in zip(present, changes, weights / weights.sum(), strict=True):
                own = f"own/{_digest(names[index])}/{module.name}"
                step = -common - change[module.name] / round.rate_sum
                kept[own] = memory.get(own, 0.0) + step
                drift, mean = drift + share * step, mean + share * change[module.name]
            kept[f"common/{module.name}"] = common + factor * drift
            moved[module.name] = self.server_rate * mean
        return build_change_outcome(round, present, moved), encode_state(kept)

    def build_client_hook(self, spec: AdapterSpec, trainer: str, state: bytes) -> ClientHook:
        """c - c_i; a trainer that was never seen has c_i = 0."""
        memory = decode_state(state)
        if not memory:
            return NO_HOOK
        own = get_part(memory, f"own/{_digest(trainer)}")
        common = get_part(memory, "common")
        return ClientHook(control={name: (c - own.get(name, 0.0)).astype(np.float32) for name, c in common.items()})


def _digest(trainer: str) -> str:
    """A trainer's name as a part of a tensor's name."""
    return trainer.encode("utf-8").hex()
