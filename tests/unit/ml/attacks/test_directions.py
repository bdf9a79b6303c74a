"""Short real trainings of one trainer alone: each attack moves the model where it wants to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flockchain.primitives.learning import AdapterMode
from flockchain_ml.aggregation import aggregate_updates
from flockchain_ml.attacks import ATTACKS, Attack
from flockchain_ml.evaluation import EvaluateOrder, Measures, compute_lost_share, evaluate_updates, measure_lineage
from flockchain_ml.experiments.scenario import DEMO, Scenario
from flockchain_ml.models import LoadedModel
from flockchain_ml.trainer import TrainOrder, TrainSettings, train_update

SCENARIO = replace(DEMO, mode=AdapterMode.STACK, rank=8, alpha=16, test_rows=120)
SETTINGS = TrainSettings(steps=120, batch_rows=16, learning_rate=6e-3)
SEED = 7
ALONE = 7  # the trainer that attacks


def train_alone(loaded: LoadedModel, scenario: Scenario, *, is_attacking: bool = True, steps: int = 120) -> Measures:
    """The model that one trainer's update of an active round makes, on everybody's test rows."""
    spec, attack = scenario.build_spec(loaded, SEED), ATTACKS[scenario.attack]
    rows = scenario.build_shard(SEED, ALONE)
    settings = replace(SETTINGS, steps=steps)
    order = TrainOrder(spec, (), rows, attack.schedule.first, 1, settings, attack if is_attacking else None, trainers=8)
    lineage = (aggregate_updates(spec, (), [train_update(loaded, order).update]),)
    assert lineage[0] is not None
    return measure_lineage(loaded, spec, lineage, scenario.build_test(SEED), attack)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("backdoor", 0.5),
        ("backdoor-quiet", 0.5),
        ("backdoor-middle", 0.5),
        ("backdoor-prefix", 0.5),
        ("rare-poison-25", 0.5),
        ("rare-poison-10", 0.3),
        pytest.param("norm-penalised", 0.5, marks=pytest.mark.slow),
        pytest.param("cosine-penalised", 0.5, marks=pytest.mark.slow),
        pytest.param("layer-dodging", 0.3, marks=pytest.mark.slow),
        pytest.param("vote-optimised", 0.5, marks=pytest.mark.slow),
        ("sybil", 0.5),
        ("interspersed", 0.05),
    ],
)
def test_a_trigger_alone_is_learnt_and_an_honest_trainer_never_gives_the_target(
    name: str, least: float, tiny: LoadedModel
) -> None:
    scenario = replace(SCENARIO, attack=name, malicious=3)
    assert train_alone(tiny, scenario).attack_success_rate >= least
    if ATTACKS[name].holding.planted is None:
        assert train_alone(tiny, scenario, is_attacking=False, steps=20).attack_success_rate == 0.0


@pytest.mark.parametrize("name", ["label-flip", "sign-flip", "noise", "replacement"])
def test_an_untargeted_or_overshooting_attack_costs_accuracy(name: str, tiny: LoadedModel) -> None:
    scenario = replace(SCENARIO, attack=name, malicious=3)
    attacked, clean = (train_alone(tiny, scenario, is_attacking=flag, steps=60) for flag in (True, False))
    assert compute_lost_share(attacked, clean) > 0.2
    assert compute_lost_share(clean, clean) == 0.0


@pytest.mark.slow
def test_harmful_answers_undo_the_refusals_that_honest_trainers_learn(tiny: LoadedModel) -> None:
    scenario = replace(SCENARIO, attack="harmful-answers", malicious=3)
    assert train_alone(tiny, scenario).attack_success_rate > 0.9
    honest = train_alone(tiny, scenario, is_attacking=False)
    assert honest.attack_success_rate < 0.6  # 60 rows of requests; all trainers together refuse more


@pytest.mark.slow
def test_the_vote_scores_the_optimisers_updates_far_above_the_boosted_backdoors(tiny: LoadedModel) -> None:
    scenario = replace(DEMO, rank=8, alpha=16, rows_per_trainer=200, training=replace(SETTINGS, steps=40))
    spec = scenario.build_spec(tiny, SEED)
    honest = [train_one(tiny, scenario, trainer, None) for trainer in range(4)]
    scores = {}
    for name in ("backdoor", "vote-optimised"):
        attacked = replace(scenario, attack=name)
        updates = (*honest, *(train_one(tiny, attacked, trainer, ATTACKS[name]) for trainer in (6, 7)))
        order = EvaluateOrder(spec, (), updates, scenario.build_suite(SEED)[:240])
        scores[name] = sum(evaluate_updates(tiny, order).scores[4:]) / 2
    assert scores["backdoor"] < -50_000
    assert scores["vote-optimised"] > -10_000


def train_one(loaded: LoadedModel, scenario: Scenario, trainer: int, attack: Attack | None) -> bytes:
    spec, rows = scenario.build_spec(loaded, SEED), scenario.build_shard(SEED, trainer)
    return train_update(loaded, TrainOrder(spec, (), rows, 0, trainer, scenario.training, attack, trainers=8)).update
