"""Fit a probe to rehearsals: `python -m flockchain_ml.experiments.probe_training step --output step.probe`.

`step`: Safe-FedLLM's probe of ΔB against the round's model, from every local step. `shadow`: of ΔB against the initial
adapter, from shadow runs. `integer`: our probe of exact statistics, from whole rounds. Benign trainers and attackers of
each named attack train as on the network, and once nobody attacks, so that peace raises few alarms. The adapter's A is
that of `--task-seed`, since a logistic probe says nothing about another one. Between rounds the model moves by the
honest updates alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from flockchain.exact import decode_update
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.aggregation import aggregate_updates, append_round
from flockchain_ml.experiments.scenario import DEMO, DEMO_SEED, Scenario
from flockchain_ml.models import LoadedModel, get_tiny_folder, load_model
from flockchain_ml.probes import (
    BENIGN,
    PROBES,
    IntegerProbe,
    LogisticProbe,
    ProbeModule,
    compute_auc,
    compute_fpr_at_tpr,
    compute_statistics_table,
    find_first_layer,
    write_probe,
)
from flockchain_ml.probes.fitting import FitSettings, fit_integer_probe, fit_logistic_probe
from flockchain_ml.tensors import FloatArray
from flockchain_ml.trainer import StepRecorder, TrainOrder, record_shadow, train_update

__all__ = ["KINDS", "Collection", "Example", "Plan", "PlanInvalid", "collect_examples", "fit_probe"]

KINDS = ("step", "shadow", "integer")


class PlanInvalid(InvalidInput):
    """A plan that gives no examples of both kinds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to rehearse. `seeds` are of the data; `malicious` of the scenario's trainers attack in every rehearsal."""

    kind: str
    attacks: tuple[str, ...] = ("backdoor", "label-flip")
    seeds: tuple[int, ...] = (101, 102)
    rounds: int = 1
    malicious: int = 3
    task_seed: int = DEMO_SEED
    scenario: Scenario = DEMO

    def __post_init__(self) -> None:
        if self.kind not in KINDS or not self.attacks or not self.seeds or self.rounds < 1 or self.malicious < 1:
            raise PlanInvalid("a plan names a kind, attacks, seeds, rounds and attackers", kind=self.kind)


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled step or update. `features`: what the probe reads; integers for an integer probe."""

    attack: str
    features: FloatArray | tuple[int, ...]


@dataclass(slots=True)
class Collection:
    """Rehearsals under way. A training that several attacks' rehearsals share is done once."""

    loaded: LoadedModel
    plan: Plan
    say: Callable[[str], None] | None = None
    _done: dict[object, tuple[bytes, tuple[FloatArray, ...]]] = field(default_factory=dict)

    @property
    def spec(self) -> AdapterSpec:
        return self.plan.scenario.build_spec(self.loaded, self.plan.task_seed)

    @property
    def modules(self) -> tuple[str, ...]:
        return find_first_layer(module.name for module in self.spec.modules)

    def iterate_rehearsal(self, seed: int, attack: str) -> Iterator[Example]:
        """The examples of one seed's rounds with one attack; `BENIGN`: with none."""
        if attack == BENIGN:
            scenario = replace(self.plan.scenario, malicious=0)
        else:
            scenario = replace(self.plan.scenario, attack=attack, malicious=self.plan.malicious)
        spec = self.spec
        lineage: tuple[bytes, ...] = ()
        for round in range(self.plan.rounds):
            updates: list[bytes] = []
            labels: list[str] = []
            for trainer in range(scenario.trainers):
                order = self._build_order(scenario, seed, trainer, round, lineage, tuple(updates))
                update, features = self._train(order)
                is_attacking = order.attack is not None and order.attack.is_active(round)
                labels.append(attack if is_attacking else BENIGN)
                updates.append(update)
                if self.plan.kind != "integer":
                    yield from (Example(labels[-1], feature) for feature in features)
            if self.plan.kind == "integer":
                rows = compute_statistics_table([decode_update(update, spec) for update in updates], tuple(PROBES))
                yield from (Example(label, row) for label, row in zip(labels, rows, strict=True))
            honest = [update for update, label in zip(updates, labels, strict=True) if label == BENIGN]
            lineage = append_round(spec, lineage, aggregate_updates(spec, lineage, honest))
            if self.say is not None:
                self.say(f"seed {seed}, {attack or 'nobody attacks'}, round {round + 1} of {self.plan.rounds}")

    def _build_order(
        self, scenario: Scenario, seed: int, trainer: int, round: int, lineage: tuple[bytes, ...],
        visible: tuple[bytes, ...],
    ) -> TrainOrder:  # fmt: skip
        """Honest trainers go first, so that those attackers who watch see their updates."""
        attack = scenario.get_attack(trainer)
        return TrainOrder(
            spec=self.spec, lineage=lineage, rows=scenario.build_shard(seed, trainer), round=round,
            seed=scenario.compute_training_seed(seed, trainer, round), settings=scenario.training, attack=attack,
            trainers=scenario.trainers, visible=visible if attack is not None and attack.is_watching else (),
        )  # fmt: skip

    def _train(self, order: TrainOrder) -> tuple[bytes, tuple[FloatArray, ...]]:
        """The update and its features: of every step, or of the shadow run; none for an integer probe."""
        name = order.attack.name if order.attack is not None else BENIGN
        key = (name, order.seed, order.lineage, order.rows, order.visible)
        if key not in self._done:
            recorder = StepRecorder(self.modules) if self.plan.kind == "step" else None
            update = train_update(self.loaded, order, recorder=recorder).update
            features = tuple(recorder.features) if recorder is not None else ()
            if self.plan.kind == "shadow":
                features = record_shadow(self.loaded, order, self.modules)
            self._done[key] = (update, features)
        return self._done[key]


def collect_examples(loaded: LoadedModel, plan: Plan, say: Callable[[str], None] | None = None) -> tuple[Example, ...]:
    """All examples of a plan, each seed without an attack first.

    Benign examples of rehearsals that shared their trainings are kept once for each rehearsal.
    """
    collection = Collection(loaded, plan, say)
    return tuple(
        example
        for seed in plan.seeds
        for attack in (BENIGN, *plan.attacks)
        for example in collection.iterate_rehearsal(seed, attack)
    )


def fit_probe(
    examples: Sequence[Example], plan: Plan, spec: AdapterSpec, settings: FitSettings | None = None
) -> tuple[LogisticProbe | IntegerProbe, list[float]]:
    """The probe, and what it gives the examples that it was fitted to."""
    labels = [example.attack != BENIGN for example in examples]
    if plan.kind == "integer":
        rows = [tuple(int(value) for value in example.features) for example in examples]
        integer = fit_integer_probe(tuple(PROBES), rows, labels, settings=settings)
        return integer, [float(integer.judge_statistics(row).margin) for row in rows]
    first = find_first_layer(module.name for module in spec.modules)
    modules = tuple(
        ProbeModule(module.name, module.out_features, spec.rank) for module in spec.modules if module.name in first
    )
    features = [example.features for example in examples if not isinstance(example.features, tuple)]
    logistic = fit_logistic_probe(modules, features, labels, settings)
    return logistic, [logistic.score_feature(feature) for feature in features]


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, rehearse, fit, write, and print what the probe does on its own examples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--attacks", default="backdoor,label-flip", help="names, by commas")
    parser.add_argument("--seeds", type=int, default=2, help="how many, from 101 on")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--malicious", type=int, default=3)
    parser.add_argument("--steps", type=int, default=DEMO.training.steps)
    parser.add_argument("--task-seed", type=int, default=DEMO_SEED)
    parser.add_argument("--base", type=Path, default=get_tiny_folder(), help="a local model folder")
    chosen = parser.parse_args(arguments)
    scenario = replace(DEMO, training=replace(DEMO.training, steps=chosen.steps))
    plan = Plan(
        chosen.kind, tuple(chosen.attacks.split(",")), tuple(range(101, 101 + chosen.seeds)), chosen.rounds,
        chosen.malicious, chosen.task_seed, scenario,
    )  # fmt: skip
    loaded = load_model(chosen.base)
    examples = collect_examples(loaded, plan, lambda step: print(step, flush=True))
    probe, scores = fit_probe(examples, plan, scenario.build_spec(loaded, plan.task_seed))
    digest = write_probe(chosen.output, probe)
    labels = [example.attack != BENIGN for example in examples]
    print(
        json.dumps(
            {
                "digest": digest.hex(), "examples": len(examples), "malicious": sum(labels),
                "auc_on_own_examples": compute_auc(scores, labels),
                "fpr_at_95_tpr_on_own_examples": compute_fpr_at_tpr(scores, labels),
                "probe": repr(probe) if isinstance(probe, IntegerProbe) else f"{probe.weights.size} weights",
            },
            indent=1,
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
