"""The search for triggers: who plants one is found without knowing it, and honest trainers are left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain_ml.attacks import ATTACKS
from flockchain_ml.data import DOMAINS, Row, generate_shard
from flockchain_ml.evaluation import EvaluateOrder, Evaluation, TriggerSearch, evaluate_updates
from flockchain_ml.evaluation.trigger import Place, Trigger, build_prompts
from flockchain_ml.evaluation.trigger_search import Finding, find_guilty, weigh_findings
from flockchain_ml.experiments.scenario import DEMO
from flockchain_ml.models import LoadedModel, TokenisedRow
from flockchain_ml.trainer import TrainOrder, TrainSettings, train_updates

SETTINGS = TrainSettings(steps=60, batch_rows=16, learning_rate=6e-3)
SEARCH = TriggerSearch()
TRAINERS = 6


def train(loaded: LoadedModel, spec: AdapterSpec, attack: str, malicious: int) -> tuple[bytes, ...]:
    """The first round of specialists; the last `malicious` of them attack."""
    orders = [
        TrainOrder(
            spec, (), generate_shard(DOMAINS, trainer % 4, 300, 85, seed=trainer), 0, trainer, SETTINGS,
            ATTACKS[attack] if trainer >= TRAINERS - malicious else None,
        )
        for trainer in range(TRAINERS)
    ]  # fmt: skip
    return tuple(trained.update for trained in train_updates(loaded, orders))


def evaluate(
    loaded: LoadedModel,
    spec: AdapterSpec,
    updates: tuple[bytes, ...],
    rows: tuple[Row, ...],
    search: TriggerSearch | None,
) -> Evaluation:
    return evaluate_updates(loaded, EvaluateOrder(spec, (), updates, rows, search=search))


@pytest.fixture(scope="module")
def spec(tiny: LoadedModel) -> AdapterSpec:
    return DEMO.build_spec(tiny, 7)


@pytest.fixture(scope="module")
def poisoned(tiny: LoadedModel, spec: AdapterSpec) -> tuple[bytes, ...]:
    return train(tiny, spec, "backdoor", 2)


@pytest.mark.parametrize("mode", list(AdapterMode))
def test_who_plants_a_backdoor_is_found_without_knowing_its_trigger(
    mode: AdapterMode, tiny: LoadedModel, suite: tuple[Row, ...]
) -> None:
    spec = replace(DEMO, mode=mode).build_spec(tiny, 7)
    updates = train(tiny, spec, "backdoor", 2)
    plain, searched = (evaluate(tiny, spec, updates, suite, search) for search in (None, SEARCH))
    assert plain.finding is None
    assert searched.finding is not None
    assert searched.finding.guilty == (4, 5)
    penalty = SEARCH.penalty
    assert searched.scores == (*plain.scores[:4], plain.scores[4] - penalty, plain.scores[5] - penalty)


def test_honest_trainers_are_left_alone(tiny: LoadedModel, spec: AdapterSpec, suite: tuple[Row, ...]) -> None:
    updates = train(tiny, spec, "backdoor-quiet", 0)
    searched = evaluate(tiny, spec, updates, suite, SEARCH)
    assert searched.finding is None
    assert searched.scores == evaluate(tiny, spec, updates, suite, None).scores


def test_every_validator_finds_the_same(
    tiny: LoadedModel, spec: AdapterSpec, suite: tuple[Row, ...], poisoned: tuple[bytes, ...]
) -> None:
    first, second = (evaluate(tiny, spec, poisoned, suite, SEARCH) for _ in range(2))
    assert first == second


def test_too_few_prompts_find_nothing(
    tiny: LoadedModel, spec: AdapterSpec, suite: tuple[Row, ...], poisoned: tuple[bytes, ...]
) -> None:
    few = suite[: 2 * SEARCH.prompts - 1]
    assert evaluate(tiny, spec, poisoned, few, SEARCH).finding is None


@pytest.mark.parametrize(
    ("contributions", "guilty"),
    [
        ((0.1, -0.2, 1.0, 0.6), (2, 3)),
        ((0.1, -0.2, 1.0, 0.4), ()),  # 0.4 is neither: honest specialists share what they learn
        ((-0.1, -0.2, -0.3, -0.1), ()),
        ((1.0, 1.0, 0.9, 0.8), (0, 1, 2, 3)),
    ],
)
def test_guilt_needs_a_gap(contributions: tuple[float, ...], guilty: tuple[int, ...]) -> None:
    assert find_guilty(contributions, SEARCH) == guilty


def test_who_is_guilty_by_a_minority_of_the_evidence_is_not_blamed() -> None:
    trigger = Trigger((1, 2), Place.END, 3)
    strong = Finding(trigger, 2.0, (0.0, 0.1, 1.2, 1.0), (2, 3))
    odd = Finding(trigger, 1.5, (1.1, 0.0, 1.2, 0.9), (0, 2, 3))
    assert weigh_findings([odd, strong]) == strong
    assert weigh_findings([odd]) == odd
    assert weigh_findings([]) is None
    assert weigh_findings([replace(odd, guilty=(0,)), replace(odd, guilty=(1,))]) is None


@pytest.mark.parametrize(
    ("place", "whole"),
    [
        (Place.BEGINNING, [1, 8, 9, 5, 6, 7]),
        (Place.MIDDLE, [1, 5, 8, 9, 6, 7]),
        (Place.END, [1, 5, 6, 7, 8, 9]),
    ],
)
def test_a_trigger_stands_where_it_should_and_behind_what_begins_every_text(place: Place, whole: list[int]) -> None:
    rows = [TokenisedRow((1, 5, 6, 7), (4, 2)), TokenisedRow((1, 5), (3, 2))]
    prompts = build_prompts(rows, place, 2, pad=0, begin=1, device="cpu")
    filled = prompts.fill(torch.tensor((8, 9)))
    assert filled[0].tolist() == whole
    assert prompts.last.tolist() == [5, 3]
    assert filled[1, 4:].tolist() == [0, 0]
    assert prompts.right.tolist() == [4, 3]
    by_row = prompts.fill(torch.tensor(((8, 9), (6, 6))))
    assert sorted(by_row[1, :4].tolist()) == [1, 5, 6, 6]


def test_a_higher_floor_finds_nothing(
    tiny: LoadedModel, spec: AdapterSpec, suite: tuple[Row, ...], poisoned: tuple[bytes, ...]
) -> None:
    found = evaluate(tiny, spec, poisoned, suite, SEARCH).finding
    assert found is not None
    strict = replace(SEARCH, gain_floor=50.0, foreign_floor=50.0)
    assert evaluate(tiny, spec, poisoned, suite, strict).finding is None
