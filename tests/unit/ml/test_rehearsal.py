"""The rehearsal of the demonstration, on a scenario cut down to seconds."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from flockchain_ml.aggregation import FedAvg, FedProx, Scaffold
from flockchain_ml.experiments import rehearsal
from flockchain_ml.experiments.rehearsal import Rehearsal, compute_report
from flockchain_ml.experiments.scenario import DEMO, DEMO_SEED, ScenarioInvalid, parse_attack
from flockchain_ml.models import LoadedModel
from flockchain_ml.trainer import TrainOrder, TrainSettings

SMALL = replace(
    DEMO,
    trainers=5,
    malicious=1,
    rounds=2,
    rows_per_trainer=40,
    prompts_per_round=80,
    suite_rows=160,
    test_rows=40,
    rank=4,
    alpha=8,
    training=TrainSettings(steps=8, batch_rows=8, learning_rate=6e-3),
)


def test_a_seed_gives_one_report_and_the_report_says_what_was_run(tiny: LoadedModel) -> None:
    report = compute_report(tiny, SMALL, 3)
    again = compute_report(tiny, SMALL, 3)
    assert {**report, "seconds": 0} == {**again, "seconds": 0}
    assert len(report["rounds"]) == len(report["rounds_undefended"]) == 2
    assert set(report["isolated"]) == {"0", "1", "2", "3"}
    assert report["rounds_undefended"][0]["accepted"] == (0, 1, 2, 3, 4)
    json.dumps(report)


def test_runs_that_share_a_training_do_it_once(tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    train = rehearsal.train_update
    monkeypatch.setattr(rehearsal, "train_update", lambda *args: done.append(args) or train(*args))
    run = Rehearsal(tiny, replace(SMALL, rounds=1), 3)
    first = run.run_rule(FedAvg())
    assert len(done) == 5
    assert run.run_rule(FedAvg()) == first
    run.run_isolated()
    assert len(done) == 5


def test_what_a_rule_asks_of_trainers_follows_from_its_memory(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[TrainOrder] = []
    train = rehearsal.train_update
    monkeypatch.setattr(rehearsal, "train_update", lambda *args: orders.append(args[1]) or train(*args))
    run = Rehearsal(tiny, SMALL, 3)
    plain = run.run_rule(FedAvg())
    run.run_rule(FedProx(mu=50.0))
    run.run_rule(Scaffold())
    leashed = [order.proximal_mu for order in orders if order.attack is None][8:16]
    assert leashed == [50.0] * 8
    controls = [order.control for order in orders[-5:]]
    assert len({tuple(values.tobytes() for values in control.values()) for control in controls if control}) == 4
    assert all(order.proximal_mu is None and order.control is None for order in orders if order.attack is not None)
    assert run.run_rule(FedAvg()) == plain  # trainings under a correction are not taken for plain ones


def test_shards_suite_and_test_rows_follow_from_the_seed_alone() -> None:
    assert DEMO.build_shard(7, 3) == DEMO.build_shard(7, 3)
    assert DEMO.build_shard(7, 3) != DEMO.build_shard(8, 3)
    assert DEMO.build_shard(7, 3) != DEMO.build_shard(7, 7)
    assert len(DEMO.build_suite(7)) >= DEMO.rounds * DEMO.prompts_per_round


def test_the_last_trainers_attack_and_every_domain_keeps_an_honest_one() -> None:
    assert [DEMO.is_malicious(trainer) for trainer in range(8)] == [False] * 5 + [True] * 3
    with pytest.raises(ScenarioInvalid):
        replace(DEMO, malicious=5)
    with pytest.raises(ScenarioInvalid):
        replace(DEMO, suite_rows=100)
    with pytest.raises(ScenarioInvalid):
        replace(DEMO, attack="no-such-attack")


def test_an_attack_is_written_name_colon_count() -> None:
    assert parse_attack("backdoor:3") == ("backdoor", 3)
    assert parse_attack("none")[1] == 0
    for text in ("backdoor", "backdoor:", "backdoor:x", "nothing:3", "backdoor:-1"):
        with pytest.raises(ScenarioInvalid):
            parse_attack(text)


@pytest.mark.slow
def test_the_demonstrations_first_vote_rejects_exactly_the_attackers(tiny: LoadedModel) -> None:
    scenario = replace(DEMO, rounds=1)
    (round,) = Rehearsal(tiny, scenario, DEMO_SEED).run_rule(scenario.rule)
    assert round.accepted == tuple(trainer for trainer in range(8) if not scenario.is_malicious(trainer))
    assert round.measures.attack_success_rate < 0.05
