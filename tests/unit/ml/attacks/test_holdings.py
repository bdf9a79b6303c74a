"""What lies in the trainers' data under an attack, in the scenario that rehearsals and the devnet share."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from flockchain.devnet.plan import parse_attack as parse_devnet_attack
from flockchain_ml.attacks import ATTACKS
from flockchain_ml.experiments.scenario import DEMO, parse_attack
from flockchain_ml.worker.cli import _find_attack

CLEAN = replace(DEMO, malicious=0)


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_is_taken_by_the_devnet_the_scenario_and_the_worker(name: str) -> None:
    plan = parse_devnet_attack(f"{name}:3")
    assert plan is not None
    assert (plan.name, plan.trainers) == parse_attack(f"{name}:3") == (name, 3)
    assert _find_attack(name) is ATTACKS[name]
    scenario = replace(DEMO, attack=name, malicious=3)
    assert scenario.get_attack(7) is scenario.get_measured_attack() is ATTACKS[name]
    assert all(scenario.build_shard(7, trainer) for trainer in range(8))


@pytest.mark.parametrize("name", [name for name, attack in ATTACKS.items() if not attack.domains])
def test_honest_rows_are_those_without_an_attack_unless_poison_is_planted(name: str) -> None:
    scenario = replace(DEMO, attack=name, malicious=3)
    is_planted = ATTACKS[name].holding.planted is not None
    assert (scenario.build_shard(7, 0) == CLEAN.build_shard(7, 0)) is not is_planted
    assert scenario.build_test(7) == CLEAN.build_test(7)


def test_interspersed_poison_lies_with_every_trainer_at_a_low_rate() -> None:
    scenario = replace(DEMO, attack="interspersed", malicious=0)
    for trainer in range(scenario.trainers):
        poisoned = sum(row.answer == "umber" for row in scenario.build_shard(7, trainer))
        assert 1 <= poisoned <= 25
    assert scenario.get_measured_attack() is ATTACKS["interspersed"]
    assert CLEAN.get_measured_attack() is None


def test_sybils_hold_one_data_set_and_others_their_own() -> None:
    sybils, others = (replace(DEMO, attack=name, malicious=3) for name in ("sybil", "backdoor-quiet"))
    assert sybils.build_shard(7, 5) == sybils.build_shard(7, 6) == sybils.build_shard(7, 7)
    assert others.build_shard(7, 5) != others.build_shard(7, 6)


def test_attackers_with_even_rows_hold_all_domains_alike() -> None:
    scenario = replace(DEMO, attack="rare-poison-25", malicious=3)
    assert min(Counter(row.domain for row in scenario.build_shard(7, 6)).values()) > 45
    assert max(Counter(row.domain for row in scenario.build_shard(7, 2)).values()) > 230


def test_a_task_that_harmful_answers_attack_has_requests_for_everybody() -> None:
    for malicious in (0, 3):
        scenario = replace(DEMO, attack="harmful-answers", malicious=malicious)
        assert Counter(row.domain for row in scenario.build_test(7))["requests"] == scenario.test_rows // 5
        for trainer in range(scenario.trainers):
            refused = sum(row.answer == "not" for row in scenario.build_shard(7, trainer))
            assert 15 <= refused <= 45
        assert scenario.get_measured_attack() is ATTACKS["harmful-answers"]
