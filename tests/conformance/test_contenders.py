"""Every contender of the experiments goes through real rounds: trained updates, real claims, votes, weights."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from flockchain_ml.defences import DEFENCES, Reading
from flockchain_ml.experiments.contenders import CONTENDERS, Contender
from flockchain_ml.experiments.rehearsal import Rehearsal
from flockchain_ml.experiments.scenario import DEMO
from flockchain_ml.experiments.trainings import LevelProbes, ProbeMissing
from flockchain_ml.models import LoadedModel, get_tiny_folder, load_model
from flockchain_ml.trainer import TrainSettings
from tests.kit.probes import build_logistic_probe

TINY = replace(
    DEMO, trainers=5, malicious=2, keeps_holders=False, rounds=1, rows_per_trainer=24, prompts_per_round=24,
    suite_rows=48, test_rows=24, rank=4, alpha=8, targets=("q_proj", "v_proj"),
    training=TrainSettings(steps=5, batch_rows=4, learning_rate=6e-3),
)  # fmt: skip
SHORTEST = replace(TINY, training=replace(TINY.training, steps=1))
SEED = 5


@pytest.fixture(scope="module")
def base() -> LoadedModel:
    return load_model(get_tiny_folder())


@pytest.fixture(scope="module")
def probes(base: LoadedModel) -> LevelProbes:
    spec = TINY.build_spec(base, SEED)
    return LevelProbes(build_logistic_probe(spec, 1), build_logistic_probe(spec, 2))


@pytest.fixture(scope="module")
def shared(base: LoadedModel, probes: LevelProbes) -> Rehearsal:
    """The trainings of the first round are the same for all that ask trainers for nothing."""
    return Rehearsal(base, TINY, SEED, probes=probes)


@pytest.mark.parametrize("contender", CONTENDERS.values(), ids=CONTENDERS)
def test_a_round_of_it_gives_finite_figures(contender: Contender, shared: Rehearsal) -> None:
    (round,) = shared.run_contender(contender)
    assert math.isfinite(round.measures.accuracy)
    assert math.isfinite(round.measures.attack_success_rate)
    assert set(round.accepted) <= set(range(TINY.trainers))
    assert len(round.weights) == (TINY.trainers if contender.defence is not None else 0)
    assert any(round.scores) == contender.needs_votes
    if round.weights:
        assert all(round.weights[trainer] > 0 for trainer in round.accepted)


@pytest.mark.parametrize("contender", CONTENDERS.values(), ids=CONTENDERS)
def test_without_a_probe_that_it_reads_it_does_not_run(contender: Contender, base: LoadedModel) -> None:
    if contender.probe_kinds:
        with pytest.raises(ProbeMissing):
            Rehearsal(base, SHORTEST, SEED).run_contender(contender)


def test_it_is_listed_under_its_own_name_and_every_defence_competes() -> None:
    assert all(contender.name == name for name, contender in CONTENDERS.items())
    weighing = {contender.defence.name for contender in CONTENDERS.values() if contender.defence is not None}
    rest = {"none", "accumulated-vote"}  # they compete as the rules fedavg and accumulated
    assert weighing | rest == set(DEFENCES)


def test_the_probes_that_it_needs_follow_from_what_it_reads() -> None:
    assert CONTENDERS["fedavg+safe-step"].probe_kinds == ("step",)
    assert CONTENDERS["fedavg+safe-client-upload"].probe_kinds == ("step",)
    assert CONTENDERS["fedavg+safe-evidence"].probe_kinds == ("shadow",)
    assert CONTENDERS["fedavg+integer-probe"].probe_kinds == ()
    assert Contender("both", CONTENDERS["fedavg"].rule, DEFENCES["accumulated-vote"]).reads == {Reading.VOTE}
