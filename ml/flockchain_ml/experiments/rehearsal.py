"""Rehearse the demonstration in one process: `python -m flockchain_ml.experiments.rehearsal --seed 7 --output json`.

The same training, evaluation, integer rule and exact aggregation as on the network; only the draw of prompts comes
from the seed instead of the chain's randomness. Runs the scenario with the vote's filter, with plain FedAvg, and every
honest trainer alone. Used to calibrate a task's thresholds, and for the undefended and isolated figures of a report.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random
from time import process_time
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
from flockchain_ml.defences import CLAIMED, Reading, RoundView, read_submission
from flockchain_ml.evaluation import EvaluateOrder, Measures, evaluate_updates, measure_lineage
from flockchain_ml.experiments.contenders import Contender
from flockchain_ml.experiments.scenario import DEMO, DEMO_SEED, Scenario, parse_attack
from flockchain_ml.experiments.trainings import LevelProbes, Trainings, Work
from flockchain_ml.models import LoadedModel, get_tiny_folder, load_model
from flockchain_ml.rows import Row

__all__ = ["Rehearsal", "RehearsedRound", "compute_report"]


@dataclass(frozen=True, slots=True)
class RehearsedRound:
    """One round of one contender. Scores and reputations in micro-nats; zeros where nobody votes.

    `weights`: what a defence gave every update, empty without one; all zero if it dropped the round.
    """

    scores: tuple[int, ...]
    reputations: tuple[int, ...]
    accepted: tuple[int, ...]
    measures: Measures
    weights: tuple[float, ...] = ()


@dataclass(slots=True)
class Rehearsal:
    """A scenario, a seed and a base. Trainings that several runs share are done once. `say` hears of each step.

    `probes`: for contenders whose defence reads scores. `models`: the lineage after the last round, by contender.
    """

    loaded: LoadedModel
    scenario: Scenario
    seed: int
    say: Callable[[str], None] | None = None
    probes: LevelProbes = field(default_factory=LevelProbes)
    trainings: Trainings = field(init=False)
    models: dict[str, tuple[bytes, ...]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.trainings = Trainings(self.loaded, self.scenario, self.seed, self.probes)

    @property
    def spec(self) -> AdapterSpec:
        return self.scenario.build_spec(self.loaded, self.seed)

    @property
    def seconds(self) -> dict[str, float]:
        """Processor time so far by kind of work: training, scoring, shadow, votes, defence, aggregation."""
        return self.trainings.seconds

    def run_rule(self, rule: AggregationRule) -> tuple[RehearsedRound, ...]:
        """All rounds of the scenario under one aggregation rule."""
        return self.run_contender(Contender(rule.name, rule))

    def run_contender(self, contender: Contender) -> tuple[RehearsedRound, ...]:
        """All rounds of the scenario under a rule, and a defence that weighs its updates. Raises `ProbeMissing`."""
        spec, rule, defence = self.spec, contender.rule, contender.defence
        test = self.scenario.build_test(self.seed)
        lineage: tuple[bytes, ...] = ()
        reputations: tuple[int, ...] = (0,) * self.scenario.trainers
        state, memory = b"", defence.get_initial() if defence is not None else None
        rounds = []
        for round, prompts in enumerate(self._draw_prompts()):
            work = self.trainings.train_round(
                round, spec, lineage, self._build_hooks(rule, spec, state), has_scores=contender.has_step_scores
            )
            updates = tuple(one.update for one in work)
            scores = self._score(contender, spec, lineage, updates, prompts)
            weights: tuple[float, ...] = ()
            if defence is not None:
                view = self._build_view(contender, memory, round, spec, work, scores)
                started = process_time()
                weights, memory = defence.weigh(view, memory)
                self.trainings.spend("defence", started)
            closed = RoundInput(
                spec, lineage, updates, scores, reputations, weights=weights, attackers=self.scenario.malicious,
                number=round, rate_sum=self.scenario.training.rate_sum,
            )  # fmt: skip
            started = process_time()
            outcome, state = rule.aggregate(closed, state)
            self.trainings.spend("aggregation", started)
            lineage, reputations = append_round(spec, lineage, outcome.aggregate), outcome.reputations
            measures = measure_lineage(self.loaded, spec, lineage, test, self.scenario.get_measured_attack())
            rounds.append(RehearsedRound(scores, reputations, outcome.accepted, measures, weights))
            self._tell(f"{contender.name}, round {round + 1} of {self.scenario.rounds}")
        self.models[contender.name] = lineage
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
                update = self.trainings.train_one(trainer, round, spec, lineage).update
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

    def _draw_prompts(self) -> list[tuple[Row, ...]]:
        """Every round's prompts; a row is drawn once."""
        suite = list(self.scenario.build_suite(self.seed))
        Random(compute_seed(self.seed, "draw")).shuffle(suite)
        size = self.scenario.prompts_per_round
        return [tuple(suite[round * size : (round + 1) * size]) for round in range(self.scenario.rounds)]

    def _build_hooks(self, rule: AggregationRule, spec: AdapterSpec, state: bytes) -> list[ClientHook]:
        """Nothing makes an attacker train as it is asked."""
        return [
            NO_HOOK if self.scenario.is_malicious(trainer) else build_client_hook(rule, spec, str(trainer), state)
            for trainer in range(self.scenario.trainers)
        ]

    def _score(
        self, contender: Contender, spec: AdapterSpec, lineage: tuple[bytes, ...], updates: tuple[bytes, ...],
        prompts: tuple[Row, ...],
    ) -> tuple[int, ...]:  # fmt: skip
        if not contender.needs_votes:
            return (0,) * len(updates)
        started = process_time()
        order = EvaluateOrder(spec, lineage, updates, prompts, **contender.evaluation)
        scores = evaluate_updates(self.loaded, order).scores
        self.trainings.spend("votes", started)
        return scores

    def _build_view(
        self, contender: Contender, memory: Any, round: int, spec: AdapterSpec, work: Sequence[Work],
        votes: Sequence[int],
    ) -> RoundView:  # fmt: skip
        """What the defence reads of the round, and nothing else."""
        names = [str(trainer).encode() for trainer in range(len(work))]
        due = [trainer for trainer, name in enumerate(names) if contender.is_shadow_due(memory, name)]
        shadows = self.trainings.score_shadows(due, round, spec)
        started, submissions = process_time(), []
        probe = self.probes.get_step() if Reading.UPLOAD_SCORE in contender.reads else None
        for trainer, (name, one) in enumerate(zip(names, work, strict=True)):
            is_claiming = bool(contender.reads & CLAIMED)
            claim = self.trainings.build_claim(one, shadows.get(trainer)) if is_claiming else None
            vote = votes[trainer] if Reading.VOTE in contender.reads else 0
            submissions.append(read_submission(spec, name, one.update, claim=claim, probe=probe, vote=vote))
        self.trainings.spend("defence", started)
        return RoundView(round, tuple(submissions))


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
