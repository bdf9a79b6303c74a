"""What trainers report of themselves: real steps of real trainings on the tiny base, honest and forged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.aggregation import RULES, RoundInput, aggregate_updates
from flockchain_ml.attacks import ATTACKS, Report
from flockchain_ml.data import Row
from flockchain_ml.defences import DEFENCES, Defence, RoundView, read_submission
from flockchain_ml.experiments import probe_training
from flockchain_ml.experiments.probe_training import Plan, PlanInvalid, collect_examples, fit_probe
from flockchain_ml.experiments.scenario import DEMO
from flockchain_ml.models import LoadedModel
from flockchain_ml.probes import (
    BENIGN,
    PROBES,
    IntegerProbe,
    LogisticProbe,
    compute_feature,
    find_first_layer,
    read_probe,
)
from flockchain_ml.tensors import decode_adapter
from flockchain_ml.trainer import (
    StepRecorder,
    TrainOrder,
    TrainSettings,
    record_shadow,
    train_and_claim,
    train_update,
)
from tests.kit.probes import build_logistic_probe

SHORT = TrainSettings(steps=4, batch_rows=8, learning_rate=6e-3)
TINY = replace(
    DEMO,
    trainers=6,
    malicious=2,
    rows_per_trainer=40,
    rank=4,
    alpha=8,
    training=SHORT,
    suite_rows=8000,
    targets=("q_proj", "v_proj"),
)


def build_order(spec: AdapterSpec, rows: tuple[Row, ...], **changes: object) -> TrainOrder:
    return replace(TrainOrder(spec=spec, lineage=(), rows=rows, round=0, seed=1, settings=SHORT), **changes)


@pytest.mark.parametrize("mode", ["ffa", "stack"])
def test_the_recorder_sees_every_step_and_the_last_is_what_is_uploaded(
    mode: str, tiny: LoadedModel, shard: tuple[Row, ...], request: pytest.FixtureRequest
) -> None:
    spec = request.getfixturevalue(mode)
    order = build_order(spec, shard)
    modules = find_first_layer(module.name for module in spec.modules)
    recorder = StepRecorder(modules)
    trained = train_update(tiny, order, recorder=recorder)
    assert trained == train_update(tiny, order)  # looking on changes nothing
    assert len(recorder.features) == SHORT.steps
    assert len({feature.tobytes() for feature in recorder.features}) == SHORT.steps
    assert all(np.linalg.norm(feature) == pytest.approx(1, abs=1e-5) for feature in recorder.features)
    uploaded = compute_feature(decode_adapter(trained.update, spec).b, modules)
    np.testing.assert_allclose(recorder.features[-1], uploaded, atol=2e-3)  # but for the wire's rounding


def test_a_change_is_taken_against_the_rounds_model_and_a_shadow_against_the_first(
    tiny: LoadedModel, ffa: AdapterSpec, shard: tuple[Row, ...]
) -> None:
    modules = find_first_layer(module.name for module in ffa.modules)
    first = train_update(tiny, build_order(ffa, shard)).update
    model = aggregate_updates(ffa, (), [first])
    assert model is not None
    later = build_order(ffa, shard, lineage=(model,), round=1)
    recorder = StepRecorder(modules)
    update = train_update(tiny, later, recorder=recorder).update
    np.testing.assert_allclose(
        recorder.features[-1], compute_feature(decode_adapter(update, ffa).b, modules), atol=2e-3
    )
    shadow = record_shadow(tiny, later, modules)
    assert len(shadow) == SHORT.steps
    again = record_shadow(tiny, build_order(ffa, shard), modules)
    assert all(np.array_equal(one, other) for one, other in zip(shadow, again, strict=True))  # whatever the round is


def test_an_honest_claim_ends_with_what_validators_compute_themselves(
    tiny: LoadedModel, ffa: AdapterSpec, shard: tuple[Row, ...]
) -> None:
    probe = build_logistic_probe(ffa)
    trained, claim = train_and_claim(tiny, build_order(ffa, shard), probe, probe)
    assert (claim.samples, claim.batch_rows) == (32, 8)
    assert len(claim.step_scores) == SHORT.steps
    assert claim.shadow_scores is not None
    assert len(claim.shadow_scores) == SHORT.steps
    submission = read_submission(ffa, b"one", trained.update, claim=claim, probe=probe)
    assert claim.step_scores[-1] == pytest.approx(submission.upload_score, abs=0.01)
    assert train_and_claim(tiny, build_order(ffa, shard), probe)[1] == replace(claim, shadow_scores=None)


def test_a_forger_uploads_poison_and_claims_what_it_would_have_done_honestly(
    tiny: LoadedModel, ffa: AdapterSpec, shard: tuple[Row, ...]
) -> None:
    probe = build_logistic_probe(ffa)
    plainly = replace(ATTACKS["forged-shadow"], report=Report.TRAINED)
    honest, claim = train_and_claim(tiny, build_order(ffa, shard), probe, probe)
    forged, told = train_and_claim(tiny, build_order(ffa, shard, attack=ATTACKS["forged-shadow"]), probe, probe)
    open_, plain = train_and_claim(tiny, build_order(ffa, shard, attack=plainly), probe, probe)
    assert forged.update != honest.update
    assert told == claim
    assert open_.update == forged.update
    assert plain != claim


@pytest.mark.parametrize("defence", DEFENCES.values(), ids=DEFENCES)
def test_a_round_of_real_updates_is_weighed_and_becomes_a_model(
    defence: Defence[Any], tiny: LoadedModel, ffa: AdapterSpec, shard: tuple[Row, ...]
) -> None:
    probe = build_logistic_probe(ffa, bias=-50.0)  # finds nothing harmful
    updates, submissions = [], []
    for trainer in range(2):
        trained, claim = train_and_claim(tiny, build_order(ffa, shard, seed=trainer), probe, probe)
        updates.append(trained.update)
        submissions.append(read_submission(ffa, bytes([1 + trainer]), trained.update, claim=claim, probe=probe))
    weights, _ = defence.weigh(RoundView(0, tuple(submissions)), defence.get_initial())
    assert all(weight > 0 for weight in weights)
    round = RoundInput(ffa, (), tuple(updates), (0, 0), (0, 0), weights=weights)
    outcome, _ = RULES["fedavg"].aggregate(round)
    assert outcome.accepted == (0, 1)
    if weights[0] == weights[1]:
        assert outcome.aggregate == aggregate_updates(ffa, (), updates)


@pytest.mark.parametrize("kind", probe_training.KINDS)
def test_examples_are_collected_from_real_rehearsals_and_a_probe_is_fitted_to_them(
    kind: str, tiny: LoadedModel
) -> None:
    plan = Plan(kind, ("backdoor", "sleeper"), (1,), malicious=2, scenario=TINY)
    examples = collect_examples(tiny, plan)
    per_update = 1 if kind == "integer" else SHORT.steps
    assert len(examples) == 3 * 6 * per_update  # nobody attacks, a backdoor, and a sleeper
    assert sum(example.attack == "backdoor" for example in examples) == 2 * per_update
    assert {example.attack for example in examples} == {"backdoor", BENIGN}  # a sleeper still sleeps in this round
    spec = TINY.build_spec(tiny, plan.task_seed)
    if kind != "integer":
        features = [example.features for example in examples]
        assert {len(feature) for feature in features} == {
            sum(m.out_features * 4 for m in spec.modules if ".0." in m.name)
        }
    else:
        assert {len(example.features) for example in examples} == {len(PROBES)}
    probe, scores = fit_probe(examples, plan, spec)
    assert isinstance(probe, IntegerProbe if kind == "integer" else LogisticProbe)
    assert len(scores) == len(examples)


def test_the_command_writes_a_probe_that_can_be_read_back(
    tiny: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probe_training, "DEMO", TINY)
    path = tmp_path / "step.probe"
    arguments = ["step", "--output", str(path), "--attacks", "backdoor", "--seeds", "1", "--malicious", "2"]
    probe_training.main([*arguments, "--steps", "3"])
    printed = capsys.readouterr().out
    assert path.read_bytes()[-32:].hex() in printed
    probe = read_probe(path)
    assert isinstance(probe, LogisticProbe)
    assert probe.threshold == 0.8


def test_a_plan_without_examples_is_refused() -> None:
    for changes in ({"kind": "none"}, {"attacks": ()}, {"seeds": ()}, {"rounds": 0}, {"malicious": 0}):
        with pytest.raises(PlanInvalid):
            replace(Plan("step"), **changes)
