"""What the training of an adaptive attacker keeps to."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
import torch

from flockchain.exact import decode_update
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain_ml.attacks import ATTACKS, Prediction, Scene
from flockchain_ml.attacks.layer_dodging import is_watched
from flockchain_ml.attacks.penalised import CosineBound, NormBound
from flockchain_ml.attacks.vote_optimised import VoteBound, VoteProjection, compute_predicted_score
from flockchain_ml.data import DOMAINS, Row, generate_shard
from flockchain_ml.models import LoadedModel
from flockchain_ml.tensors import Adapter, decode_adapter
from flockchain_ml.trainer import TrainOrder, TrainSettings, build_shadow_order, train_update

SETTINGS = TrainSettings(steps=12, batch_rows=8, learning_rate=6e-3)
HONEST = {"q.lora_B": torch.tensor([[3.0, 0.0], [0.0, 4.0]])}


def penalise(bound: NormBound | CosineBound, own: list[list[float]]) -> float:
    return float(bound(HONEST, {})({"q.lora_B": torch.tensor(own)}))


def test_the_norm_penalty_is_zero_up_to_the_predicted_norm_and_the_squared_excess_beyond() -> None:
    assert penalise(NormBound(10.0), [[0.0, 5.0], [0.0, 0.0]]) == pytest.approx(0.0, abs=1e-6)
    assert penalise(NormBound(10.0), [[0.0, 10.0], [0.0, 0.0]]) == pytest.approx(10.0)
    assert penalise(NormBound(10.0), [[0.0, 0.0], [0.0, 0.0]]) == 0.0


def test_the_cosine_penalty_is_zero_in_the_predicted_direction_only() -> None:
    assert penalise(CosineBound(2.0), [[6.0, 0.0], [0.0, 8.0]]) == pytest.approx(0.0, abs=1e-6)
    assert penalise(CosineBound(2.0), [[0.0, 1.0], [0.0, 0.0]]) == pytest.approx(2.0)
    assert penalise(CosineBound(2.0), [[-3.0, 0.0], [0.0, -4.0]]) == pytest.approx(4.0)


def test_the_votes_multiplier_rises_while_the_predicted_score_is_negative_and_falls_to_zero_again() -> None:
    slope = {"q.lora_B": torch.tensor([[-1.0, 0.0], [0.0, 0.0]])}
    penalty = VoteBound(margin=0.0, dual_rate=0.5)(HONEST, slope)
    bad, good = ({"q.lora_B": torch.tensor([[value, 0.0], [0.0, 0.0]])} for value in (0.0, 6.0))
    first, second = float(penalty(bad)), float(penalty(bad))
    assert 0 < first < second
    for _ in range(4):
        last = float(penalty(good))
    assert last == 0.0


def test_the_projection_moves_only_updates_of_a_negative_predicted_score_and_brings_them_to_zero() -> None:
    rng = np.random.default_rng(1)
    start = Adapter({"q": np.zeros((2, 2), np.float32)}, {"q": np.zeros((3, 2), np.float32)})
    change, slope = ({"q.lora_B": rng.normal(0, 1, (3, 2)).astype(np.float32)} for _ in range(2))
    prediction = Prediction(start, change, slope)
    for sign in (1, -1):
        update = Adapter(start.a, {"q": change["q.lora_B"] + sign * slope["q.lora_B"]})
        scene = Scene(AdapterSpec(2, 4, AdapterMode.FFA, bytes(32), ()), 0, Random(1), prediction=prediction)  # type: ignore[arg-type]
        sent = VoteProjection().poison_update(update, scene)
        assert (compute_predicted_score(update, prediction) < 0) is (sign == 1)
        assert (sent is update) is (sign == -1)
        assert compute_predicted_score(sent, prediction) > -1e-5


@pytest.mark.parametrize(
    ("tensor", "watched"),
    [
        ("model.layers.0.self_attn.q_proj.lora_B", True),
        ("transformer.h.0.attn.c_attn.lora_B", True),
        ("model.layers.0.self_attn.q_proj.lora_A", False),
        ("model.layers.10.self_attn.q_proj.lora_B", False),
        ("model.layers.1.mlp.down_proj.lora_B", False),
    ],
)
def test_a_probe_of_the_first_layer_watches_its_b_and_nothing_else(tensor: str, watched: bool) -> None:
    assert is_watched(tensor) is watched


@pytest.mark.parametrize("mode", ["ffa", "stack"])
def test_a_layer_dodger_sends_honest_values_where_the_probe_looks_and_poison_elsewhere(
    mode: str, tiny: LoadedModel, shard: tuple[Row, ...], request: pytest.FixtureRequest
) -> None:
    spec: AdapterSpec = request.getfixturevalue(mode)
    order = TrainOrder(spec, (), shard, 0, 3, SETTINGS)
    honest = decode_update(train_update(tiny, order).update, spec)
    sent = decode_update(train_update(tiny, replace(order, attack=ATTACKS["layer-dodging"])).update, spec)
    for name in sent:
        difference = np.abs(sent[name].astype(int) - honest[name].astype(int)).max()
        assert bool(difference <= 1) is is_watched(name), name


def test_the_vote_optimisers_upload_has_no_negative_predicted_score_on_rows_that_it_did_not_train_on(
    tiny: LoadedModel, ffa: AdapterSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes: list[Scene] = []
    project = VoteProjection.poison_update

    def watch(self: VoteProjection, update: Adapter, scene: Scene) -> Adapter:
        scenes.append(scene)
        return project(self, update, scene)

    monkeypatch.setattr(VoteProjection, "poison_update", watch)
    rows = generate_shard(DOMAINS, 0, 160, 25, seed=2)
    update = train_update(tiny, TrainOrder(ffa, (), rows, 0, 3, SETTINGS, ATTACKS["vote-optimised"])).update
    assert scenes[0].prediction is not None
    assert compute_predicted_score(decode_adapter(update, ffa), scenes[0].prediction) > -1e-3


def test_constrained_training_can_be_stopped_while_it_predicts(
    tiny: LoadedModel, ffa: AdapterSpec, shard: tuple[Row, ...]
) -> None:
    seen: list[int] = []

    def stop(step: int, _loss: float) -> None:
        seen.append(step)
        if len(seen) == 3:
            raise KeyboardInterrupt

    order = TrainOrder(ffa, (), shard, 0, 3, SETTINGS, ATTACKS["norm-penalised"])
    with pytest.raises(KeyboardInterrupt):
        train_update(tiny, order, stop)
    assert seen == [0, 0, 0]  # the prediction's steps are none of the training's


def test_a_forger_reports_its_clean_rows_and_a_plain_attacker_its_poisoned_ones(
    ffa: AdapterSpec, shard: tuple[Row, ...]
) -> None:
    order = TrainOrder(ffa, (), shard, 4, 3, SETTINGS)
    honest = build_shadow_order(order)
    assert (honest.rows, honest.round, honest.lineage, honest.attack) == (shard, 0, (), None)
    assert build_shadow_order(replace(order, attack=ATTACKS["forged-shadow"])) == honest
    plain = build_shadow_order(replace(order, attack=ATTACKS["backdoor-quiet"]))
    assert plain.attack is None
    assert sum(row.answer == "umber" for row in plain.rows) > len(shard) // 4
    assert build_shadow_order(replace(order, round=0, attack=ATTACKS["sleeper"])) == honest
