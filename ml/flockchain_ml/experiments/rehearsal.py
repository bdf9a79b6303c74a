"""Rehearse the demonstration in one process: `python -m flockchain_ml.experiments.rehearsal --seed 7 --output json`.

The same training, evaluation, integer rule and exact aggregation as on the network; only the draw of prompts comes
from the seed instead of the chain's randomness. Runs the scenario with the vote's filter, with plain FedAvg, and every
honest trainer alone. Used to calibrate a task's thresholds, and for the undefended and isolated figures of a report.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain_ml.aggregation import (
    NO_HOOK,
    AggregationRule,
    ClientHook,
    FedAvg,
    RoundInput,
    append_round,
    build_client_hook,
)
from flockchain_ml.data import compute_seed
from flockchain_ml.evaluation import EvaluateOrder, Measures, evaluate_updates, measure_lineage
from flockchain_ml.experiments.scenario import DEMO, DEMO_SEED, Scenario, parse_attack
from flockchain_ml.models import LoadedModel, get_tiny_folder, load_model
from flockchain_ml.rows import Row
from flockchain_ml.trainer import TrainOrder, train_update

__all__ = ["Rehearsal", "RehearsedRound", "compute_report"]


@dataclass(frozen=True, slots=True)
class RehearsedRound:
    """One round under one rule. Scores and reputations in micro-nats; empty for a rule without scores."""

    scores: tuple[int, ...]
    reputations: tuple[int, ...]
    accepted: tuple[int, ...]
    measures: Measures


@dataclass(slots=True)
class Rehearsal:
    """A scenario, a seed and a base. Trainings that several runs share are done once. `say` hears of each step."""

    loaded: LoadedModel
    scenario: Scenario
    seed: int
    say: Callable[[str], None] | None = None
    _trained: dict[tuple[int, int, bytes], bytes] = field(default_factory=dict)

    @property
    def spec(self) -> AdapterSpec:
        return self.scenario.build_spec(self.loaded, self.seed)

    def run_rule(self, rule: AggregationRule) -> tuple[RehearsedRound, ...]:
        """All rounds of the scenario under one aggregation rule."""
        spec, test = self.spec, self.scenario.build_test(self.seed)
        suite = list(self.scenario.build_suite(self.seed))
        Random(compute_seed(self.seed, "draw")).shuffle(suite)
        lineage: tuple[bytes, ...] = ()
        reputations: tuple[int, ...] = (0,) * self.scenario.trainers
        state = b""
        rounds = []
        for round in range(self.scenario.rounds):
            updates: tuple[bytes, ...] = ()
            for trainer in range(self.scenario.trainers):  # attackers are the last, so they may have seen the others'
                is_obedient = not self.scenario.is_malicious(trainer)  # nothing makes an attacker train as it is asked
                hook = build_client_hook(rule, spec, str(trainer), state) if is_obedient else NO_HOOK
                updates += (self._train(trainer, round, spec, lineage, updates, hook),)
            start = round * self.scenario.prompts_per_round
            prompts = tuple(suite[start : start + self.scenario.prompts_per_round])
            scores = self._score(rule, spec, lineage, updates, prompts)
            closed = RoundInput(
                spec, lineage, updates, scores, reputations, attackers=self.scenario.malicious, number=round,
                rate_sum=self.scenario.training.rate_sum,
            )  # fmt: skip
            outcome, state = rule.aggregate(closed, state)
            lineage, reputations = append_round(spec, lineage, outcome.aggregate), outcome.reputations
            measures = measure_lineage(self.loaded, spec, lineage, test, self.scenario.get_measured_attack())
            rounds.append(RehearsedRound(scores, reputations, outcome.accepted, measures))
            self._tell(f"{rule.name}, round {round + 1} of {self.scenario.rounds}")
        return tuple(rounds)

    def run_isolated(self) -> dict[int, Measures]:
        """Every honest trainer alone, for as many rounds, on its own rows only."""
        spec, test = self.spec, self.scenario.build_test(self.seed)
        alone = {}
        for trainer in range(self.scenario.trainers):
            if self.scenario.is_malicious(trainer):
                continue
            lineage: tuple[bytes, ...] = ()
            for round in range(self.scenario.rounds):
                update = self._train(trainer, round, spec, lineage)
                outcome, _ = FedAvg().aggregate(RoundInput(spec, lineage, (update,), (0,), (0,)))
                lineage = append_round(spec, lineage, outcome.aggregate)
            alone[trainer] = measure_lineage(self.loaded, spec, lineage, test, None)
            self._tell(f"trainer {trainer} alone")
        return alone

    def measure_base(self) -> Measures:
        """The base before any round."""
        test = self.scenario.build_test(self.seed)
        return measure_lineage(self.loaded, self.spec, (), test, self.scenario.get_measured_attack())

    def _tell(self, step: str) -> None:
        if self.say is not None:
            self.say(step)

    def _train(
        self,
        trainer: int,
        round: int,
        spec: AdapterSpec,
        lineage: tuple[bytes, ...],
        visible: tuple[bytes, ...] = (),
        hook: ClientHook = NO_HOOK,
    ) -> bytes:
        key = (trainer, round, hashlib.sha256(b"".join(lineage)).digest())
        if hook is not NO_HOOK or key not in self._trained:
            order = TrainOrder(
                spec=spec,
                lineage=lineage,
                rows=self.scenario.build_shard(self.seed, trainer),
                round=round,
                seed=self.scenario.compute_training_seed(self.seed, trainer, round),
                settings=self.scenario.training,
                attack=self.scenario.get_attack(trainer),
                trainers=self.scenario.trainers,
                visible=visible,
                proximal_mu=hook.proximal_mu,
                control=hook.control,
            )
            update = train_update(self.loaded, order).update
            if hook is not NO_HOOK:
                return update
            self._trained[key] = update
        return self._trained[key]

    def _score(
        self,
        rule: AggregationRule,
        spec: AdapterSpec,
        lineage: tuple[bytes, ...],
        updates: tuple[bytes, ...],
        prompts: tuple[Row, ...],
    ) -> tuple[int, ...]:
        if not rule.needs_scores:
            return (0,) * len(updates)
        return evaluate_updates(self.loaded, EvaluateOrder(spec, lineage, updates, prompts)).scores


def compute_report(loaded: LoadedModel, scenario: Scenario, seed: int, *, has_isolated: bool = True) -> dict[str, Any]:
    """The figures of one seed, ready for JSON."""
    started = time.monotonic()
    rehearsal = Rehearsal(loaded, scenario, seed)
    defended = rehearsal.run_rule(scenario.rule)
    undefended = rehearsal.run_rule(FedAvg())
    isolated = rehearsal.run_isolated() if has_isolated else {}
    honest_rejections = sum(
        not scenario.is_malicious(trainer)
        for round in defended
        for trainer in set(range(scenario.trainers)) - set(round.accepted)
    )
    malicious_accepted = sum(scenario.is_malicious(trainer) for round in defended for trainer in round.accepted)
    return {
        "seed": seed,
        "accuracy": defended[-1].measures.accuracy,
        "attack_success_rate": defended[-1].measures.attack_success_rate,
        "accuracy_undefended": undefended[-1].measures.accuracy,
        "attack_success_rate_undefended": undefended[-1].measures.attack_success_rate,
        "accuracy_isolated_best": max((m.accuracy for m in isolated.values()), default=None),
        "accuracy_base": rehearsal.measure_base().accuracy,
        "honest_rejections": honest_rejections,
        "malicious_accepted": malicious_accepted,
        "isolated": {str(trainer): asdict(measures) for trainer, measures in isolated.items()},
        "rounds": [asdict(round) for round in defended],
        "rounds_undefended": [asdict(round) for round in undefended],
        "seconds": round(time.monotonic() - started, 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, rehearse, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=DEMO_SEED)
    parser.add_argument("--attack", default=f"{DEMO.attack}:{DEMO.malicious}", help="NAME:COUNT, or none")
    parser.add_argument("--rounds", type=int, default=DEMO.rounds)
    parser.add_argument("--mode", choices=[mode.name.lower() for mode in AdapterMode], default=DEMO.mode.name.lower())
    parser.add_argument("--base", type=Path, default=get_tiny_folder(), help="a local model folder")
    parser.add_argument("--no-isolated", action="store_true")
    parser.add_argument("--output", choices=["human", "json"], default="human")
    chosen = parser.parse_args(arguments)
    attack, malicious = parse_attack(chosen.attack)
    scenario = replace(
        DEMO, attack=attack, malicious=malicious, rounds=chosen.rounds, mode=AdapterMode[chosen.mode.upper()]
    )
    report = compute_report(load_model(chosen.base), scenario, chosen.seed, has_isolated=not chosen.no_isolated)
    if chosen.output == "json":
        print(json.dumps(report, indent=1))
        return
    for key, value in report.items():
        if not isinstance(value, (dict, list)):
            print(f"{key}: {value:.3f}" if isinstance(value, float) else f"{key}: {value}")


if __name__ == "__main__":
    main()
