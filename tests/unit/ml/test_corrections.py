"""What aggregation rules ask of a training: the proximal term and the control variate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.data import Row
from flockchain_ml.models import LoadedModel
from flockchain_ml.tensors import decode_adapter, decode_start
from flockchain_ml.trainer import OrderInvalid, TrainOrder, TrainSettings, train_update

SHORT = TrainSettings(steps=6, batch_rows=8, learning_rate=6e-3)


def build_order(spec: AdapterSpec, rows: tuple[Row, ...], **changes: object) -> TrainOrder:
    return replace(TrainOrder(spec=spec, lineage=(), rows=rows, round=0, seed=1, settings=SHORT), **changes)


def build_control(spec: AdapterSpec, value: float) -> dict[str, np.ndarray]:
    return {m.name: np.full((m.out_features, spec.rank), value, np.float32) for m in spec.modules}


def test_terms_of_zero_change_no_byte_and_no_loss(tiny: LoadedModel, ffa: AdapterSpec, shard: tuple[Row, ...]) -> None:
    plain = train_update(tiny, build_order(ffa, shard))
    assert train_update(tiny, build_order(ffa, shard, proximal_mu=0.0)) == plain
    assert train_update(tiny, build_order(ffa, shard, control=build_control(ffa, 0.0))) == plain


@pytest.mark.parametrize("mode", ["ffa", "stack"])
def test_a_proximal_term_keeps_the_training_near_its_start(
    mode: str, tiny: LoadedModel, shard: tuple[Row, ...], request: pytest.FixtureRequest
) -> None:
    spec = request.getfixturevalue(mode)

    def compute_distance(mu: float | None) -> float:
        order = build_order(spec, shard, proximal_mu=mu, settings=replace(SHORT, steps=12))
        update, start = decode_adapter(train_update(tiny, order).update, spec), decode_start(spec, 0)
        moved = sum(float(np.square(values).sum()) for values in update.b.values())
        if mode == "stack":
            moved += sum(float(np.square(values - start.a[name]).sum()) for name, values in update.a.items())
        return moved

    distances = [compute_distance(mu) for mu in (None, 0.1, 100.0)]
    assert distances[0] > distances[1] > distances[2] > 0


def test_the_reported_loss_is_the_answers_alone(tiny: LoadedModel, ffa: AdapterSpec, shard: tuple[Row, ...]) -> None:
    plain = train_update(tiny, build_order(ffa, shard))
    leashed = train_update(tiny, build_order(ffa, shard, proximal_mu=1e6))
    assert leashed.losses[0] == plain.losses[0]
    assert max(leashed.losses) < 100


def test_one_step_moves_by_its_rate_times_the_control_variate(
    tiny: LoadedModel, ffa: AdapterSpec, shard: tuple[Row, ...]
) -> None:
    settings = replace(SHORT, steps=1)
    assert settings.rate_sum == settings.learning_rate
    plain = decode_adapter(train_update(tiny, build_order(ffa, shard, settings=settings)).update, ffa)
    order = build_order(ffa, shard, settings=settings, control=build_control(ffa, 3.0))
    corrected = decode_adapter(train_update(tiny, order).update, ffa)
    for name, values in plain.b.items():
        np.testing.assert_allclose(corrected.b[name], values - 3.0 * settings.learning_rate, atol=1.01 * 2**-14)


def test_the_rates_of_all_steps_add_up(tiny: LoadedModel, ffa: AdapterSpec, shard: tuple[Row, ...]) -> None:
    """With a correction far larger than any step of the optimiser, the update is rate_sum times it."""
    settings = replace(SHORT, steps=4, learning_rate=1e-3)
    order = build_order(ffa, shard, settings=settings, control=build_control(ffa, -400.0))
    update = decode_adapter(train_update(tiny, order).update, ffa)
    for values in update.b.values():
        np.testing.assert_allclose(values, 400.0 * settings.rate_sum, rtol=0.01)


def test_terms_that_make_no_sense_are_refused(ffa: AdapterSpec, stack: AdapterSpec, shard: tuple[Row, ...]) -> None:
    for mu in (-1.0, float("nan"), float("inf")):
        with pytest.raises(OrderInvalid):
            build_order(ffa, shard, proximal_mu=mu)
    with pytest.raises(OrderInvalid):
        build_order(stack, shard, control=build_control(stack, 0.0))
    control = build_control(ffa, 0.0)
    control.pop(ffa.modules[0].name)
    with pytest.raises(OrderInvalid):
        build_order(ffa, shard, control=control)
