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
from flockchain_ml.trainer import SHADOW_LEARNING_RATE, StepRecorder, TrainOrder, build_shadow_order, train_updates

__all__ = [
    "KINDS", "Collection", "Example", "Observed", "Plan", "PlanInvalid", "build_probe_modules", "collect_examples",
    "fit_probe",
]  # fmt: skip

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


@dataclass(frozen=True, slots=True)
class Observed:
    """One trainer's update in a round, its label, and the features of its steps or of its shadow training's."""

    trainer: int
    attack: str
    update: bytes
    features: tuple[FloatArray, ...]


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
        lineage: tuple[bytes, ...] = ()
        for round in range(self.plan.rounds):
            observed = self.observe_round(seed, attack, round, lineage)
            if self.plan.kind == "integer":
                tensors = [decode_update(one.update, self.spec) for one in observed]
                rows = compute_statistics_table(tensors, tuple(PROBES))
                yield from (Example(one.attack, row) for one, row in zip(observed, rows, strict=True))
            else:
                yield from (Example(one.attack, feature) for one in observed for feature in one.features)
            lineage = self.append_honest(lineage, observed)
            if self.say is not None:
                self.say(f"seed {seed}, {attack or 'nobody attacks'}, round {round + 1} of {self.plan.rounds}")

    def observe_round(self, seed: int, attack: str, round: int, lineage: tuple[bytes, ...]) -> tuple[Observed, ...]:
        """What all trainers do in one round on this model. Those who watch see the updates of the others."""
        scenario = replace(self.plan.scenario, malicious=0)
        if attack != BENIGN:
            scenario = replace(self.plan.scenario, attack=attack, malicious=self.plan.malicious)
        watchers = [trainer for trainer in range(scenario.trainers) if _is_watching(scenario, trainer)]
        others = [trainer for trainer in range(scenario.trainers) if trainer not in watchers]
        orders = [self._build_order(scenario, seed, trainer, round, lineage) for trainer in others]
        trained = self._train(orders)
        visible = tuple(update for update, _ in trained)
        late = [self._build_order(scenario, seed, trainer, round, lineage, visible) for trainer in watchers]
        trained += self._train(late)
        observed = [
            Observed(trainer, attack if _is_attacking(order) else BENIGN, update, features)
            for trainer, order, (update, features) in zip([*others, *watchers], [*orders, *late], trained, strict=True)
        ]
        return tuple(sorted(observed, key=lambda one: one.trainer))

    def append_honest(self, lineage: tuple[bytes, ...], observed: Sequence[Observed]) -> tuple[bytes, ...]:
        """The model that the honest updates alone make."""
        honest = [one.update for one in observed if one.attack == BENIGN]
        return append_round(self.spec, lineage, aggregate_updates(self.spec, lineage, honest))

    def _build_order(
        self, scenario: Scenario, seed: int, trainer: int, round: int, lineage: tuple[bytes, ...],
        visible: tuple[bytes, ...] = (),
    ) -> TrainOrder:  # fmt: skip
        return TrainOrder(
            spec=self.spec, lineage=lineage, rows=scenario.build_shard(seed, trainer), round=round,
            seed=scenario.compute_training_seed(seed, trainer, round), settings=scenario.training,
            attack=scenario.get_attack(trainer), trainers=scenario.trainers, visible=visible,
        )  # fmt: skip

    def _train(self, orders: Sequence[TrainOrder]) -> list[tuple[bytes, tuple[FloatArray, ...]]]:
        """The updates and their features: of every step, or of the shadow run; none for an integer probe."""
        waiting = {key: order for order in orders if (key := _key(order)) not in self._done}
        fresh = list(waiting.values())
        if not fresh:
            return [self._done[_key(order)] for order in orders]
        recorders = [StepRecorder(self.modules) for _ in fresh]
        updates = [
            one.update for one in train_updates(self.loaded, fresh, recorders if self.plan.kind == "step" else ())
        ]
        if self.plan.kind == "shadow":
            shadows = [build_shadow_order(order) for order in fresh]
            settings = replace(self.plan.scenario.training, learning_rate=SHADOW_LEARNING_RATE)
            train_updates(self.loaded, [replace(order, settings=settings) for order in shadows], recorders)
        features = [tuple(recorder.features) for recorder in recorders]
        self._done |= dict(zip(waiting, zip(updates, features, strict=True), strict=True))
        return [self._done[_key(order)] for order in orders]


def _is_watching(scenario: Scenario, trainer: int) -> bool:
    attack = scenario.get_attack(trainer)
    return attack is not None and attack.is_watching


def _is_attacking(order: TrainOrder) -> bool:
    return order.attack is not None and order.attack.is_active(order.round)


def _key(order: TrainOrder) -> object:
    name = order.attack.name if order.attack is not None else BENIGN
    return (name, order.seed, order.lineage, order.rows, order.visible)


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


def build_probe_modules(spec: AdapterSpec) -> tuple[ProbeModule, ...]:
    """What a logistic probe of this adapter looks at: B of the first layer's modules."""
    first = find_first_layer(module.name for module in spec.modules)
    return tuple(
        ProbeModule(module.name, module.out_features, spec.rank) for module in spec.modules if module.name in first
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
    features = [example.features for example in examples if not isinstance(example.features, tuple)]
    logistic = fit_logistic_probe(build_probe_modules(spec), features, labels, settings)
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
