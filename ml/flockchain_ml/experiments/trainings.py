"""The trainings of a rehearsal: what every trainer uploads in a round, and what it says of itself. Each is done once.

Contenders that share a model share its trainings. A round's are done together, and each gives what it gives alone.
Knows trainers and probes; no aggregation rule and no defence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import process_time

from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.aggregation import NO_HOOK, ClientHook
from flockchain_ml.attacks import Report
from flockchain_ml.defences import Claim
from flockchain_ml.experiments.scenario import Scenario
from flockchain_ml.models import LoadedModel
from flockchain_ml.probes import LogisticProbe
from flockchain_ml.tensors import FloatArray
from flockchain_ml.trainer import (
    SHADOW_LEARNING_RATE,
    StepRecorder,
    TrainOrder,
    build_shadow_order,
    train_updates,
)

__all__ = ["LevelProbes", "ProbeMissing", "Trainings", "Work"]


class ProbeMissing(InvalidInput):
    """A defence that reads scores, and no probe that gives them."""


@dataclass(frozen=True, slots=True)
class LevelProbes:
    """Safe-FedLLM's probes of one task's adapter: of ΔB against the round's model, and of shadow trainings."""

    step: LogisticProbe | None = None
    shadow: LogisticProbe | None = None

    def get_step(self) -> LogisticProbe:
        """Raises `ProbeMissing`."""
        if self.step is None:
            raise ProbeMissing("scores of steps and uploads need the step level's probe", kind="step")
        return self.step

    def get_shadow(self) -> LogisticProbe:
        """Raises `ProbeMissing`."""
        if self.shadow is None:
            raise ProbeMissing("scores of shadow trainings need the shadow level's probe", kind="shadow")
        return self.shadow


@dataclass(frozen=True, slots=True)
class Work:
    """One trainer's part in a round. `step_scores`: as it reports them; empty where nobody asks."""

    update: bytes
    step_scores: tuple[float, ...] = ()


@dataclass(slots=True)
class _TimedRecorder(StepRecorder):
    """`seconds`: processor time of looking on."""

    seconds: float = 0.0

    def record(self, deltas: Mapping[str, FloatArray]) -> None:
        started = process_time()
        StepRecorder.record(self, deltas)
        self.seconds += process_time() - started


@dataclass(slots=True)
class Trainings:
    """Of one scenario, seed and base. `seconds`: processor time by kind of work: training, scoring, shadow."""

    loaded: LoadedModel
    scenario: Scenario
    seed: int
    probes: LevelProbes = field(default_factory=LevelProbes)
    seconds: dict[str, float] = field(default_factory=dict)
    _done: dict[tuple[object, ...], Work] = field(default_factory=dict)
    _shadows: dict[tuple[int, int], tuple[float, ...]] = field(default_factory=dict)

    def train_round(
        self, round: int, spec: AdapterSpec, lineage: tuple[bytes, ...], hooks: Sequence[ClientHook] = (), *,
        has_scores: bool = False,
    ) -> tuple[Work, ...]:  # fmt: skip
        """Every trainer's, in their order. Those who watch others are the last to train. `hooks`: one a trainer."""
        trainers = range(self.scenario.trainers)
        watchers = [trainer for trainer in trainers if self._is_watching(trainer)]
        work: dict[int, Work] = {}
        for group in ([trainer for trainer in trainers if trainer not in watchers], watchers):
            visible = tuple(work[trainer].update for trainer in sorted(work)) if group == watchers else ()
            orders = {
                trainer: self._build_order(
                    trainer, round, spec, lineage, visible, hooks[trainer] if hooks else NO_HOOK
                )
                for trainer in group
            }  # fmt: skip
            work |= self._train(orders, has_scores)
        return tuple(work[trainer] for trainer in trainers)

    def train_one(self, trainer: int, round: int, spec: AdapterSpec, lineage: tuple[bytes, ...]) -> Work:
        """One trainer's that sees no other's."""
        return self._train({trainer: self._build_order(trainer, round, spec, lineage)}, False)[trainer]

    def score_shadows(self, trainers: Sequence[int], round: int, spec: AdapterSpec) -> dict[int, tuple[float, ...]]:
        """Their reports of shadow trainings, which start from the initial adapter whatever the model is."""
        waiting = [trainer for trainer in trainers if (trainer, round) not in self._shadows]
        if waiting:
            probe, started = self.probes.get_shadow(), process_time()
            orders = [build_shadow_order(self._build_order(trainer, round, spec, ())) for trainer in waiting]
            settings = replace(self.scenario.training, learning_rate=SHADOW_LEARNING_RATE)
            recorders = [StepRecorder(_get_modules(probe)) for _ in waiting]
            train_updates(self.loaded, [replace(order, settings=settings) for order in orders], recorders)
            for trainer, recorder in zip(waiting, recorders, strict=True):
                self._shadows[trainer, round] = _score(probe, recorder)
            self.spend("shadow", started)
        return {trainer: self._shadows[trainer, round] for trainer in trainers}

    def build_claim(self, work: Work, shadow_scores: tuple[float, ...] | None) -> Claim:
        """What a trainer says of itself; every training is as long as the scenario says."""
        settings = self.scenario.training
        samples = settings.steps * settings.batch_rows
        return Claim(samples, settings.batch_rows, work.step_scores, shadow_scores)

    def spend(self, kind: str, started: float) -> None:
        """Add the processor time since then."""
        self.seconds[kind] = self.seconds.get(kind, 0.0) + process_time() - started

    def _is_watching(self, trainer: int) -> bool:
        attack = self.scenario.get_attack(trainer)
        return attack is not None and attack.is_watching

    def _build_order(
        self, trainer: int, round: int, spec: AdapterSpec, lineage: tuple[bytes, ...],
        visible: tuple[bytes, ...] = (), hook: ClientHook = NO_HOOK,
    ) -> TrainOrder:  # fmt: skip
        return TrainOrder(
            spec=spec, lineage=lineage, rows=self.scenario.build_shard(self.seed, trainer), round=round,
            seed=self.scenario.compute_training_seed(self.seed, trainer, round), settings=self.scenario.training,
            attack=self.scenario.get_attack(trainer), trainers=self.scenario.trainers, visible=visible,
            proximal_mu=hook.proximal_mu, control=hook.control,
        )  # fmt: skip

    def _train(self, orders: dict[int, TrainOrder], has_scores: bool) -> dict[int, Work]:
        work, waiting = {}, {}
        for trainer, order in orders.items():
            known = None if _is_corrected(order) else self._done.get(_key(trainer, order))
            if known is not None and (known.step_scores or not has_scores):
                work[trainer] = known
            else:
                waiting[trainer] = order
        started, scoring = process_time(), self.seconds.get("scoring", 0.0)
        carry_out: Callable[[Sequence[TrainOrder]], list[Work]] = self._claim if has_scores else self._upload
        for (trainer, order), fresh in zip(waiting.items(), carry_out(tuple(waiting.values())), strict=True):
            work[trainer] = fresh
            if not _is_corrected(order):
                self._done[_key(trainer, order)] = fresh
        if waiting:
            self.spend("training", started + self.seconds.get("scoring", 0.0) - scoring)
        return work

    def _upload(self, orders: Sequence[TrainOrder]) -> list[Work]:
        return [Work(trained.update) for trained in train_updates(self.loaded, orders)]

    def _claim(self, orders: Sequence[TrainOrder]) -> list[Work]:
        """As `train_and_claim` for each: who forges trains on its clean rows as well, and reports that."""
        probe = self.probes.get_step()
        forged = [at for at, order in enumerate(orders) if _is_forging(order)]
        recorders = [_TimedRecorder(_get_modules(probe)) for _ in orders]
        looking = [None if at in forged else recorder for at, recorder in enumerate(recorders)]
        trained = train_updates(
            self.loaded, [*orders, *(replace(orders[at], attack=None) for at in forged)],
            [*looking, *(recorders[at] for at in forged)],
        )  # fmt: skip
        started = process_time() - sum(recorder.seconds for recorder in recorders)
        scores = [_score(probe, recorder) for recorder in recorders]
        self.spend("scoring", started)
        return [Work(one.update, own) for one, own in zip(trained, scores, strict=False)]


def _get_modules(probe: LogisticProbe) -> tuple[str, ...]:
    return tuple(module.name for module in probe.modules)


def _score(probe: LogisticProbe, recorder: StepRecorder) -> tuple[float, ...]:
    return tuple(probe.score_feature(feature) for feature in recorder.features)


def _is_forging(order: TrainOrder) -> bool:
    attack = order.attack
    return attack is not None and attack.is_active(order.round) and attack.report is Report.CLEAN


def _is_corrected(order: TrainOrder) -> bool:
    """Whether a rule had a say in this training: then no other contender's is the same."""
    return order.proximal_mu is not None or order.control is not None


def _key(trainer: int, order: TrainOrder) -> tuple[object, ...]:
    """What decides a training of this scenario that no rule corrects."""
    seen = hashlib.sha256(b"".join(order.lineage)).digest(), hashlib.sha256(b"".join(order.visible)).digest()
    return (trainer, order.round, *seen)
