"""Every aggregation rule of the list is a pure function of a round and its state, and stands every attack's upload."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.exact import compute_aggregate, decode_aggregate
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain_ml.aggregation import (
    RULES,
    AggregationRule,
    Flame,
    RoundInput,
    Told,
    append_round,
    build_client_hook,
)
from flockchain_ml.attacks import ATTACKS, Attack, Prediction, Scene, fit_to_wire
from flockchain_ml.tensors import Adapter, decode_adapter, encode_adapter
from tests.kit.learning import build_update
from tests.kit.rounds import FFA, STACK, build_cluster, get_moved_products, get_products

EVERY_RULE = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
EXACT = {name: rule for name, rule in RULES.items() if rule.card.is_exact}
EXACT_RULES = pytest.mark.parametrize("rule", EXACT.values(), ids=EXACT)

SCORES = st.lists(st.integers(-200_000, 200_000), min_size=1, max_size=6)
MODES = st.sampled_from(list(AdapterMode))
SPECS = {AdapterMode.FFA: FFA, AdapterMode.STACK: STACK}
# By design: another step than the mean's, dropped entries, or equal updates taken for one attacker with many names.
MOVES_OTHERWISE = {"fedadagrad", "fedyogi", "fedadam", "lasa", "foolsgold"}
KEEPERS = [
    pytest.param(rule, mode, id=f"{name}-{mode.name.lower()}")
    for name, rule in RULES.items()
    if name not in MOVES_OTHERWISE
    for mode in rule.card.modes
]


def build_round(rule: AggregationRule, scores: list[int], mode: AdapterMode = AdapterMode.FFA) -> RoundInput:
    spec = SPECS[mode if mode in rule.card.modes else AdapterMode.FFA]
    updates = tuple(build_update(spec, seed) for seed in range(len(scores)))
    return RoundInput(spec, (), updates, tuple(scores), (0,) * len(scores), **name_trainers(len(scores)))


def name_trainers(count: int) -> dict[str, Any]:
    return {"trainers": tuple(f"trainer {index}" for index in range(count)), "rate_sum": 0.3}


def reorder(round: RoundInput, order: list[int]) -> RoundInput:
    fields = ("updates", "scores", "reputations", "weights", "samples", "trainers")
    return replace(
        round,
        **{name: tuple(getattr(round, name)[index] for index in order) for name in fields if getattr(round, name)},
    )


def run_again(rule: AggregationRule, round: RoundInput) -> bytes:
    """A state that is not the first."""
    return rule.aggregate(round)[1]


@EVERY_RULE
def test_it_is_listed_under_its_own_name_and_says_what_it_is(rule: AggregationRule) -> None:
    assert RULES[rule.name] is rule
    assert rule.card.paper
    assert rule.card.weights
    assert AdapterMode.FFA in rule.card.modes
    assert rule.needs_scores is (Told.SCORES in rule.card.told)


@EVERY_RULE
@given(scores=SCORES, mode=MODES)
@settings(max_examples=15, deadline=None)
def test_it_is_pure_and_gives_a_model_of_the_task(rule: AggregationRule, scores: list[int], mode: AdapterMode) -> None:
    round = build_round(rule, scores, mode)
    outcome, state = rule.aggregate(round)
    assert rule.aggregate(round) == (outcome, state)
    assert len(outcome.reputations) == len(scores)
    assert list(outcome.accepted) == sorted(set(outcome.accepted))
    if outcome.aggregate is None:
        assert outcome.accepted == ()
        assert append_round(round.spec, (b"model",), None) == (b"model",)
        return
    assert append_round(round.spec, (), outcome.aggregate) == (outcome.aggregate,)
    decode_aggregate(outcome.aggregate, round.spec)
    later = replace(round, lineage=(outcome.aggregate,), number=1)
    assert rule.aggregate(later, state) == rule.aggregate(later, state)
    assert build_client_hook(rule, round.spec, "trainer 0", state) is not None


@EXACT_RULES
@given(scores=SCORES, mode=MODES)
@settings(max_examples=15, deadline=None)
def test_an_exact_rules_mean_is_the_chains_aggregate_of_the_accepted(
    rule: AggregationRule, scores: list[int], mode: AdapterMode
) -> None:
    round = build_round(rule, scores, mode)
    outcome, _ = rule.aggregate(round)
    chosen = [round.updates[index] for index in outcome.accepted]
    assert outcome.aggregate == (compute_aggregate(round.spec, None, chosen) if chosen else None)


@EVERY_RULE
@given(scores=SCORES, seed=st.integers(0, 99), mode=MODES)
@settings(max_examples=15, deadline=None)
def test_the_order_of_updates_changes_nothing_but_the_order_of_verdicts(
    rule: AggregationRule, scores: list[int], seed: int, mode: AdapterMode
) -> None:
    round = build_round(rule, scores, mode)
    round = replace(round, weights=tuple(0.5 + index for index in range(len(scores))), attackers=1)
    order = [int(index) for index in np.random.default_rng(seed).permutation(len(scores))]
    (first, first_state), (second, second_state) = rule.aggregate(round), rule.aggregate(reorder(round, order))
    assert second.aggregate == first.aggregate
    assert second_state == first_state
    assert {order[index] for index in second.accepted} == set(first.accepted)
    assert second.reputations == tuple(first.reputations[i] for i in order)


@EVERY_RULE
@given(scores=st.lists(st.integers(-9_000, 9_000), min_size=2, max_size=6), mode=MODES, data=st.data())
@settings(max_examples=15, deadline=None)
def test_an_update_without_weight_is_as_if_it_were_not_there(
    rule: AggregationRule, scores: list[int], mode: AdapterMode, data: st.DataObject
) -> None:
    round = build_round(rule, scores, mode)
    state = run_again(rule, replace(round, weights=(1.0,) * len(scores)))
    gone = data.draw(st.integers(0, len(scores) - 1))
    kept = [index for index in range(len(scores)) if index != gone]
    weights = tuple(0.0 if index == gone else 1.0 + index % 2 for index in range(len(scores)))
    weighted, after = rule.aggregate(replace(round, weights=weights, number=1), state)
    alone, after_alone = rule.aggregate(reorder(replace(round, weights=weights, number=1), kept), state)
    assert weighted.aggregate == alone.aggregate
    assert after == after_alone
    assert weighted.accepted == tuple(kept[index] for index in alone.accepted)
    assert weighted.reputations[gone] == round.reputations[gone]


@EVERY_RULE
@pytest.mark.parametrize("factor", [0.25, 8.0])
def test_only_the_ratios_of_weights_count(rule: AggregationRule, factor: float) -> None:
    round = replace(build_round(rule, [100, -200, 300, 50, 70]), weights=(1.0, 2.0, 0.5, 1.0, 3.0), attackers=1)
    scaled = replace(round, weights=tuple(weight * factor for weight in round.weights))
    (first, _), (second, _) = rule.aggregate(round), rule.aggregate(scaled)
    assert second == first


@EVERY_RULE
def test_weights_act(rule: AggregationRule) -> None:
    round = build_round(rule, [100, -200, 300, 50, 70])
    equal, _ = rule.aggregate(round)
    moved = [rule.aggregate(replace(round, weights=weights))[0] for weights in _list_uneven_weights(5)]
    assert any(outcome.aggregate != equal.aggregate for outcome in moved)


@EVERY_RULE
def test_a_round_of_nobody_leaves_the_model(rule: AggregationRule) -> None:
    round = replace(build_round(rule, [5, 6]), weights=(0.0, 0.0), reputations=(3, -4))
    state = run_again(rule, build_round(rule, [5, 6]))
    outcome, after = rule.aggregate(round, state)
    assert (outcome.accepted, outcome.reputations, outcome.aggregate) == ((), (3, -4), None)
    assert after == state


@EXACT_RULES
def test_a_mean_rule_accepts_everybody_where_nothing_is_wrong(rule: AggregationRule) -> None:
    assert rule.aggregate(build_round(rule, [3_000, -2_000, 500, -1_500]))[0].accepted == (0, 1, 2, 3)


@pytest.mark.parametrize(("rule", "mode"), KEEPERS)
def test_equal_updates_give_that_update(rule: AggregationRule, mode: AdapterMode) -> None:
    (update,) = build_cluster(SPECS[mode], 1, seed=4)
    zeros = (0,) * 5
    round = RoundInput(SPECS[mode], (), (update,) * 5, zeros, zeros, **name_trainers(5), attackers=1)
    quiet = replace(rule, noise=0.0) if isinstance(rule, Flame) else rule
    outcome, _ = quiet.aggregate(round)
    assert outcome.aggregate is not None
    np.testing.assert_allclose(
        get_moved_products(round, outcome.aggregate), get_products(SPECS[mode], update), atol=4e-6
    )


@EVERY_RULE
def test_it_looks_at_nothing_that_it_is_not_told(rule: AggregationRule) -> None:
    round = build_round(rule, [-200_000, -150_000, 300, 400, -90_000])
    told = rule.card.told
    changes: dict[Told, dict[str, Any]] = {
        Told.SCORES: {"scores": (10**5,) * 5},
        Told.ATTACKERS: {"attackers": 3},
        Told.SAMPLES: {"samples": (1, 20, 3, 40, 5)},
        Told.RATE_SUM: {"rate_sum": 0.6},
    }
    before = rule.aggregate(round)
    for kind, change in changes.items():
        after = rule.aggregate(replace(round, **change))
        assert (after == before) is (kind not in told), kind
    assert bool(before[1]) is bool(rule.card.state and rule.name != "accumulated")


@EVERY_RULE
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_it_stands_every_attacks_upload_and_zero_weights_undo_it(rule: AggregationRule, attack: Attack) -> None:
    for mode in rule.card.modes:
        spec = SPECS[mode]
        honest = build_cluster(spec, 4, seed=1)
        forged = _upload(attack, spec, honest)
        updates = (*honest, *forged)
        zeros, named = (0,) * len(updates), name_trainers(len(updates))
        round = RoundInput(spec, (), updates, zeros, zeros, **named, attackers=len(forged))
        outcome, state = rule.aggregate(round)
        assert rule.aggregate(reorder(round, [5, 1, 0, 4, 3, 2]))[0].aggregate == outcome.aggregate
        if outcome.aggregate is not None:
            assert np.isfinite(get_moved_products(round, outcome.aggregate)).all()
            rule.aggregate(replace(round, lineage=(outcome.aggregate,), number=1), state)
        blind = replace(round, attackers=0)
        undone, _ = rule.aggregate(replace(blind, weights=(1.0,) * 4 + (0.0,) * 2))
        assert undone.aggregate == rule.aggregate(reorder(blind, [0, 1, 2, 3]))[0].aggregate


def _list_uneven_weights(count: int) -> list[tuple[float, ...]]:
    """One update that outweighs all others, or one that weighs next to nothing."""
    return [
        tuple(odd if index == other else 1.0 for index in range(count)) for odd in (0.01, 9.0) for other in range(count)
    ]


def _upload(attack: Attack, spec: AdapterSpec, honest: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """What two attackers send who trained something else than the honest four."""
    forged: tuple[bytes, ...] = ()
    for seed, trained in enumerate(build_cluster(spec, 2, seed=2)):
        update = decode_adapter(trained, spec)
        expected = decode_adapter(honest[0], spec)
        change = {f"{name}.lora_B": values for name, values in expected.b.items()}
        start = Adapter(expected.a, {name: np.zeros_like(values) for name, values in expected.b.items()})
        scene = Scene(spec, 4, Random(seed), 6, (*honest, *forged), Prediction(start, change, change))
        forged += (encode_adapter(fit_to_wire(attack.poison_update(update, scene), spec), spec),)
    return forged
