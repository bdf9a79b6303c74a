"""The rehearsal of the demonstration, on a scenario cut down to seconds."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from flockchain_ml.aggregation import FedAvg, FedProx, Scaffold
from flockchain_ml.defences import DEFENCES, RoundView, SafeEvidence, SafeStep
from flockchain_ml.defences.memory import Memory
from flockchain_ml.experiments import trainings
from flockchain_ml.experiments.contenders import CONTENDERS, Contender
from flockchain_ml.experiments.rehearsal import Rehearsal, compute_report
from flockchain_ml.experiments.scenario import DEMO, DEMO_SEED, ScenarioInvalid, parse_attack
from flockchain_ml.experiments.trainings import LevelProbes
from flockchain_ml.models import LoadedModel
from flockchain_ml.trainer import SHADOW_LEARNING_RATE, TrainOrder, TrainSettings, train_and_claim
from tests.kit.probes import build_logistic_probe

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
    done: list[TrainOrder] = []
    train = trainings.train_updates
    monkeypatch.setattr(trainings, "train_updates", lambda *args: done.extend(args[1]) or train(*args))
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
    train = trainings.train_updates
    monkeypatch.setattr(trainings, "train_updates", lambda *args: orders.extend(args[1]) or train(*args))
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


def rehearse(tiny: LoadedModel, bias: float = 0.0, **changes: object) -> Rehearsal:
    short = TrainSettings(steps=3, batch_rows=4, learning_rate=6e-3)
    small = replace(SMALL, rows_per_trainer=20, test_rows=16, targets=("q_proj", "v_proj"), training=short)
    scenario = replace(small, **changes)
    spec = scenario.build_spec(tiny, 3)
    return Rehearsal(
        tiny, scenario, 3, probes=LevelProbes(build_logistic_probe(spec, 1, bias), build_logistic_probe(spec, 2, bias))
    )


def test_a_round_that_the_gate_drops_leaves_the_model_and_the_rules_memory_as_they_were(tiny: LoadedModel) -> None:
    run = rehearse(tiny, bias=50.0)  # every step is harmful: mean trust is far under the gate's 0.2
    rounds = run.run_contender(Contender("gated", CONTENDERS["fedavgm"].rule, DEFENCES["safe-step"]))
    assert [round.weights for round in rounds] == [(0.0,) * 5] * 2
    assert [round.accepted for round in rounds] == [()] * 2
    assert [round.measures for round in rounds] == [run.measure_base()] * 2


def test_a_defences_weights_are_the_rules_and_with_equal_ones_nothing_changes(tiny: LoadedModel) -> None:
    run = rehearse(tiny, bias=-50.0)  # nothing is harmful
    plain = run.run_rule(FedAvg())
    shadowed = run.run_contender(CONTENDERS["fedavg+safe-shadow"])
    assert [round.measures for round in shadowed] == [round.measures for round in plain]
    assert [round.weights for round in shadowed] == [pytest.approx((0.2,) * 5)] * 2
    noticed = rehearse(tiny).run_contender(CONTENDERS["fedavg+safe-client"])
    assert len(set(noticed[0].weights)) > 1


def test_a_defences_memory_goes_from_round_to_round(tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    memories: list[Memory[object]] = []
    weigh = SafeStep.weigh

    def watch(self: SafeStep, view: RoundView, state: Memory[object]) -> object:
        memories.append(state)
        return weigh(self, view, state)

    monkeypatch.setattr(SafeStep, "weigh", watch)
    rehearse(tiny).run_contender(CONTENDERS["fedavg+safe-step"])
    assert [len(memory.records) for memory in memories] == [0, 5]


def test_a_forger_of_shadows_is_trusted_and_a_plain_attacker_reports_what_it_did(tiny: LoadedModel) -> None:
    def get_claims(attack: str) -> list[tuple[float, ...]]:
        run = rehearse(tiny, attack=attack, rounds=1)
        (work,) = [run.trainings.train_round(0, run.spec, (), has_scores=True)]
        return [run.trainings.score_shadows([4], 0, run.spec)[4], work[4].step_scores]

    honest = rehearse(tiny, malicious=0, rounds=1)
    clean = [
        honest.trainings.score_shadows([4], 0, honest.spec)[4],
        honest.trainings.train_round(0, honest.spec, (), has_scores=True)[4].step_scores,
    ]
    assert get_claims("forged-shadow") == clean
    plain = get_claims("backdoor-quiet")
    assert plain[0] != clean[0]
    assert plain[1] != clean[1]


@pytest.mark.parametrize("attack", ["backdoor-quiet", "forged-shadow"])
def test_what_trainers_report_together_is_what_each_reports_alone(tiny: LoadedModel, attack: str) -> None:
    run = rehearse(tiny, attack=attack, rounds=1)
    spec, probes = run.spec, run.probes
    together = run.trainings.train_round(0, spec, (), has_scores=True)
    shadows = run.trainings.score_shadows([0, 4], 0, spec)
    for trainer in (0, 4):
        order = TrainOrder(
            spec, (), run.scenario.build_shard(3, trainer), 0, run.scenario.compute_training_seed(3, trainer, 0),
            run.scenario.training, run.scenario.get_attack(trainer), run.scenario.trainers,
        )  # fmt: skip
        trained, claim = train_and_claim(tiny, order, probes.get_step(), probes.get_shadow())
        assert together[trainer].update == trained.update
        assert run.trainings.build_claim(together[trainer], shadows[trainer]) == claim


def test_shadows_are_trained_when_they_are_due_and_once_for_all_contenders(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[TrainOrder] = []
    train = trainings.train_updates

    def watch(*args: object) -> object:
        done.extend(order for order in args[1] if order.settings.learning_rate == SHADOW_LEARNING_RATE)
        return train(*args)

    monkeypatch.setattr(trainings, "train_updates", watch)
    run = rehearse(tiny, bias=-50.0, rounds=5, prompts_per_round=20, test_rows=4, targets=("q_proj",))
    run.run_contender(CONTENDERS["fedavg+safe-evidence"])
    assert len(done) == 3 * 5  # three benign shadows settle it, and the first audit is five participations later
    run.run_contender(CONTENDERS["fedavg+safe-shadow"])
    assert len(done) == 5 * 5
    assert SafeEvidence().is_shadow_due(SafeEvidence().get_initial(), b"0")


def test_a_copycat_copies_the_round_that_it_is_in_whatever_was_trained_before(tiny: LoadedModel) -> None:
    run = rehearse(tiny, attack="copycat", rounds=1)
    plain = run.trainings.train_round(0, run.spec, ())
    leashed = run.trainings.train_round(0, run.spec, (), [FedProx(mu=50.0).build_client_hook(run.spec, "", b"")] * 5)
    assert plain[4] != leashed[4]
    assert plain[4].update not in {one.update for one in plain[:4]}


def test_votes_reach_a_defence_that_reads_them_as_they_reach_the_chains_rule(tiny: LoadedModel) -> None:
    strict = replace(DEMO.rule, mass_threshold=0, reputation_floor=0)
    run = rehearse(tiny, rounds=2)
    ruled = run.run_contender(Contender("rule", strict))
    weighed = run.run_contender(Contender("vote", FedAvg(), replace(DEFENCES["accumulated-vote"], rule=strict)))
    assert 0 < len(ruled[0].accepted) < 5
    assert [round.accepted for round in weighed] == [round.accepted for round in ruled]
    assert [round.measures for round in weighed] == [round.measures for round in ruled]


def test_up_to_nine_of_ten_may_attack_where_that_is_asked_for() -> None:
    assert replace(DEMO, trainers=10, keeps_holders=False, malicious=7).is_malicious(3)
    for changes in ({"malicious": 7}, {"malicious": 10, "keeps_holders": False}):
        with pytest.raises(ScenarioInvalid):
            replace(DEMO, trainers=10, **changes)
