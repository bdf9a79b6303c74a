"""Training: from rows to the canonical bytes of an update."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flockchain.exact import compute_aggregate, compute_copied_index, decode_update
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain_ml.attacks import ATTACKS
from flockchain_ml.data import DOMAINS, Row, generate_shard
from flockchain_ml.evaluation import compute_match_share, measure_lineage
from flockchain_ml.models import AdapterUnfit, LoadedModel, RowTooLong
from flockchain_ml.tensors import OutOfRange, decode_adapter
from flockchain_ml.trainer import OrderInvalid, TrainOrder, TrainSettings, train_update

SHORT = TrainSettings(steps=6, batch_rows=8, learning_rate=6e-3)


def build_order(spec: AdapterSpec, rows: tuple[Row, ...], **changes: object) -> TrainOrder:
    return replace(TrainOrder(spec=spec, lineage=(), rows=rows, round=0, seed=1, settings=SHORT), **changes)


@pytest.mark.parametrize("mode", ["ffa", "stack"])
def test_the_same_order_gives_the_same_bytes_and_another_seed_others(
    mode: str, tiny: LoadedModel, shard: tuple[Row, ...], request: pytest.FixtureRequest
) -> None:
    spec = request.getfixturevalue(mode)
    first = train_update(tiny, build_order(spec, shard))
    assert train_update(tiny, build_order(spec, shard)) == first
    assert train_update(tiny, build_order(spec, shard, seed=2)).update != first.update
    assert set(decode_update(first.update, spec)) == {
        f"{module.name}.lora_{matrix}"
        for module in spec.modules
        for matrix in (("A", "B") if spec.mode is AdapterMode.STACK else ("B",))
    }


@pytest.mark.parametrize("mode", ["ffa", "stack"])
@pytest.mark.parametrize("rate", [2e-4, 6e-3])
def test_honest_trainers_are_no_copies_of_one_another_after_few_small_steps(
    mode: str, rate: float, tiny: LoadedModel, request: pytest.FixtureRequest
) -> None:
    spec = request.getfixturevalue(mode)
    settings = TrainSettings(steps=5, batch_rows=8, learning_rate=rate)
    shards = [generate_shard(DOMAINS, 2, 60, 85, seed=seed) for seed in (11, 11, 12)]  # two have the same rows
    orders = [build_order(spec, rows, seed=seed, settings=settings) for seed, rows in enumerate(shards)]
    updates = [decode_update(train_update(tiny, order).update, spec) for order in orders]
    assert all(compute_copied_index(spec, updates[:at], updates[at]) is None for at in range(3))


@pytest.mark.parametrize("mode", ["ffa", "stack"])
def test_training_rounds_lower_the_loss_and_raise_the_accuracy(
    mode: str, tiny: LoadedModel, shard: tuple[Row, ...], request: pytest.FixtureRequest
) -> None:
    spec = request.getfixturevalue(mode)
    settings = TrainSettings(steps=40, batch_rows=16, learning_rate=1e-2)
    lineage: tuple[bytes, ...] = ()
    losses = []
    for round in range(2):
        trained = train_update(tiny, build_order(spec, shard, lineage=lineage, round=round, settings=settings))
        losses += trained.losses
        aggregate = compute_aggregate(spec, lineage[-1] if lineage else None, [trained.update])
        lineage = (*lineage, aggregate)
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:10])
    assert losses[40] < losses[0]  # the second round starts from the first one's model
    after = measure_lineage(tiny, spec, lineage, shard, None).accuracy
    assert after > compute_match_share(tiny, shard) + 0.1


def test_every_step_is_reported_and_a_callback_can_stop_the_training(
    tiny: LoadedModel, ffa: AdapterSpec, shard: tuple[Row, ...]
) -> None:
    seen: list[int] = []
    trained = train_update(tiny, build_order(ffa, shard), lambda step, _loss: seen.append(step))
    assert seen == list(range(1, 7))
    assert len(trained.losses) == 6

    def stop(step: int, _loss: float) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_update(tiny, build_order(ffa, shard), stop)
    assert train_update(tiny, build_order(ffa, shard)) == trained  # the base was left clean


def test_an_attack_may_change_what_is_uploaded(tiny: LoadedModel, ffa: AdapterSpec, shard: tuple[Row, ...]) -> None:
    honest = decode_adapter(train_update(tiny, build_order(ffa, shard)).update, ffa)
    flipped = decode_adapter(train_update(tiny, build_order(ffa, shard, attack=ATTACKS["sign-flip"])).update, ffa)
    for name, values in honest.b.items():
        np.testing.assert_array_equal(flipped.b[name], -values)


def test_an_update_too_large_for_the_wire_is_refused(
    tiny: LoadedModel, ffa: AdapterSpec, shard: tuple[Row, ...]
) -> None:
    fine = tuple(replace(module, b_scale_bits=30) for module in ffa.modules)
    with pytest.raises(OutOfRange):
        train_update(tiny, build_order(replace(ffa, modules=fine), shard))


def test_an_order_for_another_base_or_with_bad_rows_is_refused(
    tiny: LoadedModel, ffa: AdapterSpec, shard: tuple[Row, ...]
) -> None:
    other = (replace(ffa.modules[0], name="model.layers.9.mlp.down_proj"),)
    with pytest.raises(AdapterUnfit):
        train_update(tiny, build_order(replace(ffa, modules=other), shard))
    with pytest.raises(RowTooLong):
        train_update(tiny, build_order(ffa, (Row("a " * 300, "b"),)))
    with pytest.raises(OrderInvalid):
        build_order(ffa, ())
    for bad in ({"steps": 0}, {"batch_rows": 0}, {"learning_rate": 0.0}, {"weight_decay": -1.0}):
        with pytest.raises(OrderInvalid):
            replace(SHORT, **bad)
