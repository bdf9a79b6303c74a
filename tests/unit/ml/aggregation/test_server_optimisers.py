"""Rules with a memory, three rounds long, against the papers' recursions in numpy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.aggregation import (
    AggregationRule,
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedYogi,
    RoundInput,
    RuleUnfit,
    Scaffold,
    StateInvalid,
    append_round,
    build_client_hook,
)
from flockchain_ml.aggregation.state import decode_state, encode_state
from tests.kit.learning import build_update
from tests.kit.rounds import FFA, STACK, build_round, get_entries, get_moved_entries, truncate

MODES = pytest.mark.parametrize("spec", [FFA, STACK], ids=["ffa", "stack"])
TOLERANCE = 2**-14  # FFA's fixed-point step at these modules
WEIGHTS = (1.0, 0.5, 2.0)


def run(rule: AggregationRule, spec: AdapterSpec) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Three rounds: the mean of each, and what the rule moved the model by."""
    lineage: tuple[bytes, ...] = ()
    state = b""
    for number in range(3):
        updates = tuple(build_update(spec, 10 * number + seed) for seed in range(3))
        round = build_round(spec, updates, lineage=lineage, weights=WEIGHTS, number=number)
        outcome, state = rule.aggregate(round, state)
        assert outcome.aggregate is not None
        mean = np.average([get_entries(spec, update) for update in updates], axis=0, weights=WEIGHTS)
        yield mean, get_moved_entries(round, outcome.aggregate)
        lineage = append_round(spec, lineage, outcome.aggregate)


@MODES
def test_fedavgm_adds_up_fading_means(spec: AdapterSpec) -> None:
    velocity = 0.0
    for mean, moved in run(FedAvgM(momentum=0.9), spec):
        velocity = 0.9 * velocity + mean
        np.testing.assert_allclose(moved, truncate(spec, velocity), atol=TOLERANCE)


@MODES
@pytest.mark.parametrize("name", ["fedadagrad", "fedyogi", "fedadam"])
def test_adaptive_servers_follow_the_papers_recursion(spec: AdapterSpec, name: str) -> None:
    rule = {"fedadagrad": FedAdagrad, "fedyogi": FedYogi, "fedadam": FedAdam}[name](server_rate=0.02)
    m, v = 0.0, 1e-3**2
    for mean, moved in run(rule, spec):
        m = 0.9 * m + 0.1 * mean
        square = mean * mean
        if name == "fedadagrad":
            v = v + square
        elif name == "fedyogi":
            v = v - 0.01 * square * np.sign(v - square)
        else:
            v = 0.99 * v + 0.01 * square
        wanted = 0.02 * m / (np.sqrt(v) + 1e-3)
        np.testing.assert_allclose(moved, truncate(spec, wanted), atol=TOLERANCE)


def test_the_server_rate_scales_the_step() -> None:
    steps = [[moved for _, moved in run(FedAdam(server_rate=rate), FFA)] for rate in (0.1, 0.2)]
    np.testing.assert_allclose(2 * np.array(steps[0]), steps[1], atol=2 * TOLERANCE)


def test_scaffolds_variates_are_those_of_option_two() -> None:
    rule, rate_sum = Scaffold(population=5), 0.25
    common, own = 0.0, dict.fromkeys("abcde", 0.0)
    state, lineage = b"", ()
    for number, present in enumerate(("abc", "bcd", "abe")):
        updates = tuple(build_update(FFA, 10 * number + seed) for seed in range(3))
        changes = [get_entries(FFA, update) for update in updates]
        for name in present:  # what each is told before it trains: c - c_i
            hook = build_client_hook(rule, FFA, name, state)
            if number == 0:
                assert hook.control is None
            else:
                assert hook.control is not None
                control = np.concatenate([hook.control[m.name].ravel() for m in FFA.modules])
                np.testing.assert_allclose(control, common - own[name], rtol=1e-6)
        round = build_round(FFA, updates, lineage=lineage, trainers=tuple(present), number=number, rate_sum=rate_sum)
        outcome, state = rule.aggregate(round, state)
        assert outcome.aggregate is not None
        np.testing.assert_allclose(
            get_moved_entries(round, outcome.aggregate), np.mean(changes, axis=0), atol=TOLERANCE
        )
        steps = {name: -common - change / rate_sum for name, change in zip(present, changes, strict=True)}
        own |= {name: own[name] + step for name, step in steps.items()}
        common = common + sum(steps.values()) / 5
        lineage = append_round(FFA, lineage, outcome.aggregate)


def test_scaffold_learns_nothing_of_an_absent_trainer() -> None:
    updates = tuple(build_update(FFA, seed) for seed in range(3))
    whole = {"trainers": ("a", "b", "c"), "rate_sum": 0.2}
    absent, state = Scaffold(population=3).aggregate(build_round(FFA, updates, **whole, weights=(1.0, 1.0, 0.0)))
    without = build_round(FFA, updates[:2], trainers=("a", "b"), rate_sum=0.2)
    assert (absent.aggregate, state) == (lambda outcome, after: (outcome.aggregate, after))(
        *Scaffold(population=3).aggregate(without)
    )
    assert b"63/" not in state  # "c"


def test_scaffold_refuses_a_round_that_it_cannot_correct() -> None:
    with pytest.raises(RuleUnfit):
        Scaffold().aggregate(build_round(STACK, (build_update(STACK, 1),), rate_sum=0.1))
    with pytest.raises(RuleUnfit):
        Scaffold().aggregate(build_round(FFA, (build_update(FFA, 1),)))


@pytest.mark.parametrize("rule", [FedAvgM(), FedAdagrad(), FedYogi(), FedAdam()], ids=lambda rule: rule.name)
def test_a_round_without_anybody_leaves_model_and_memory(rule: AggregationRule) -> None:
    round = build_round(FFA, (build_update(FFA, 1), build_update(FFA, 2)))
    _, state = rule.aggregate(round)
    nobody = RoundInput(FFA, (), round.updates, (0, 0), (7, -7), weights=(0.0, 0.0))
    outcome, after = rule.aggregate(nobody, state)
    assert (outcome.accepted, outcome.reputations, outcome.aggregate) == ((), (7, -7), None)
    assert after == state


def test_a_state_survives_its_bytes_and_other_bytes_are_refused() -> None:
    tensors = {"b/x": np.arange(6.0).reshape(2, 3), "a/y": np.array([1e-300, -0.0])}
    state = encode_state(tensors)
    assert encode_state(dict(reversed(tensors.items()))) == state
    assert encode_state(decode_state(state)) == state
    assert decode_state(b"") == {}
    for bad in (b"nonsense", state[:-1], state + b"\0"):
        with pytest.raises(StateInvalid):
            decode_state(bad)


def test_fedavg_keeps_no_memory() -> None:
    round = build_round(FFA, (build_update(FFA, 1),))
    assert FedAvg().aggregate(round, b"")[1] == b""
