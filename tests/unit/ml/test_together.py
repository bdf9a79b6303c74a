"""Many clients trained in one forward: each gets what it gets alone, and what a plain loop with peft gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from flockchain.exact import compute_aggregate, decode_update
from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.attacks import ATTACKS
from flockchain_ml.data import DOMAINS, Row, generate_shard
from flockchain_ml.models import (
    LoadedModel,
    attached_stack,
    build_batch,
    choose_layout,
    compute_answer_losses,
    compute_client_losses,
    is_keeping_rows_apart,
    pack_rows,
    tokenise_rows,
)
from flockchain_ml.tensors import decode_start
from flockchain_ml.trainer import StepRecorder, TrainOrder, TrainSettings, train_update, train_updates
from flockchain_ml.trainer import training as training_module
from tests.kit.plain_training import train_plainly

SHORT = TrainSettings(steps=5, batch_rows=8, learning_rate=6e-3)
STEPS_APART_MAX = 8  # of the wire; 0 or 1 were seen


def build_orders(spec: AdapterSpec, count: int, **changes: object) -> list[TrainOrder]:
    """Shards of different domains, so that the clients' rows differ in length."""
    return [
        replace(TrainOrder(spec, (), generate_shard(DOMAINS, at % 4, 40, 85, seed=at), 0, at, SHORT), **changes)
        for at in range(count)
    ]


def compute_steps_apart(left: bytes, right: bytes, spec: AdapterSpec) -> int:
    ours, theirs = decode_update(left, spec), decode_update(right, spec)
    return max(int(np.abs(ours[name].astype(np.int32) - theirs[name].astype(np.int32)).max()) for name in ours)


@pytest.mark.parametrize("mode", ["ffa", "stack"])
def test_a_training_is_the_plain_one_but_for_float_noise(
    mode: str, tiny: LoadedModel, request: pytest.FixtureRequest
) -> None:
    spec = request.getfixturevalue(mode)
    lineage: tuple[bytes, ...] = ()
    for round in range(2):
        order = replace(build_orders(spec, 3)[2], lineage=lineage, round=round)
        ours, plain = train_update(tiny, order), train_plainly(tiny, order)
        np.testing.assert_allclose(ours.losses, plain.losses, rtol=2e-4)
        apart = compute_steps_apart(ours.update, plain.update, spec)
        print(f"{mode}, round {round}: {apart} steps apart")
        assert apart <= STEPS_APART_MAX
        lineage = (*lineage, compute_aggregate(spec, lineage[-1] if lineage else None, [plain.update]))


@pytest.mark.parametrize("mode", ["ffa", "stack"])
def test_clients_trained_together_get_the_bytes_that_they_get_alone(
    mode: str, tiny: LoadedModel, request: pytest.FixtureRequest
) -> None:
    spec = request.getfixturevalue(mode)
    orders = build_orders(spec, 5)
    orders[1] = replace(orders[1], proximal_mu=0.5)
    orders[2] = replace(orders[2], attack=ATTACKS["backdoor"])
    orders[3] = replace(orders[3], attack=ATTACKS["cosine-penalised"])
    orders[4] = replace(orders[4], attack=ATTACKS["layer-dodging"])  # part of its tensors is held: a kind of its own
    together = train_updates(tiny, orders)
    assert together == [train_update(tiny, order) for order in orders]
    assert together == train_updates(tiny, orders)
    assert len({one.update for one in together}) == 5


def test_another_clients_rows_and_number_change_nobody_elses_bytes(tiny: LoadedModel, ffa: AdapterSpec) -> None:
    orders = build_orders(ffa, 4)
    first = train_updates(tiny, orders)
    orders[1] = replace(orders[1], rows=generate_shard(DOMAINS, 3, 25, 50, seed=77))
    second = train_updates(tiny, orders)
    assert second[1].update != first[1].update
    assert [second[at] for at in (0, 2, 3)] == [first[at] for at in (0, 2, 3)]
    assert train_updates(tiny, orders[2:]) == first[2:]
    assert train_updates(tiny, []) == []


def test_clients_of_one_kind_share_a_forward_and_others_do_not(
    tiny: LoadedModel, ffa: AdapterSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    train = training_module.train_together
    monkeypatch.setattr(
        training_module, "train_together", lambda loaded, some: groups.append(len(some)) or train(loaded, some)
    )
    orders = build_orders(ffa, 3)
    settings = replace(SHORT, steps=3)
    train_updates(tiny, [*orders, replace(orders[0], settings=settings)])
    assert groups == [3, 1]
    long = tuple(Row(f"{row.prompt} " + "what " * 40, row.answer) for row in orders[0].rows)
    train_updates(tiny, [orders[0], replace(orders[1], rows=long)])
    assert groups[2:] == [1, 1]  # wider lines are another kind
    train_updates(tiny, [replace(one, attack=ATTACKS["cosine-penalised"]) for one in orders])
    assert groups[4:] == [3, 3]  # first the predictions, then the poison
    monkeypatch.setattr(training_module, "TOGETHER_MAX", 2)
    train_updates(tiny, orders)
    assert groups[6:] == [2, 1]


def test_every_client_has_its_own_correction_and_recorder(tiny: LoadedModel, ffa: AdapterSpec) -> None:
    orders = build_orders(ffa, 3)
    control = {m.name: np.full((m.out_features, ffa.rank), 2.0, np.float32) for m in ffa.modules}
    orders[1] = replace(orders[1], control=control)
    modules = (ffa.modules[0].name,)
    seen = [StepRecorder(modules), None, StepRecorder(modules)]
    together = train_updates(tiny, orders, seen)
    alone = StepRecorder(modules)
    assert train_update(tiny, orders[2], recorder=alone) == together[2]
    assert seen[2] is not None
    assert [one.tobytes() for one in seen[2].features] == [one.tobytes() for one in alone.features]
    assert together[0] == train_update(tiny, orders[0])
    assert together[1] == train_update(tiny, orders[1])
    assert together[1] != train_update(tiny, replace(orders[1], control=None))


def test_packed_rows_give_the_losses_of_padded_ones(tiny: LoadedModel, stack: AdapterSpec) -> None:
    assert is_keeping_rows_apart(tiny)
    clients = [
        tokenise_rows(tiny.tokenizer, generate_shard(DOMAINS, at, 9, 85, seed=at), tokens_max=64) for at in range(3)
    ]
    with torch.no_grad():
        wanted = [compute_answer_losses(tiny.model, build_batch(rows, pad=tiny.pad)).mean().item() for rows in clients]
        for is_shared in (True, False):
            layout = choose_layout([row for rows in clients for row in rows], is_shared=is_shared)
            pack = pack_rows(clients, layout, tiny)
            np.testing.assert_allclose(compute_client_losses(tiny.model, pack).numpy(), wanted, rtol=1e-5)
            assert (len(pack.inputs) < 27) == is_shared
        with attached_stack(tiny, stack, decode_start(stack, 0), clients=3) as attached:
            attached.tokens = pack.tokens
            np.testing.assert_allclose(compute_client_losses(tiny.model, pack).numpy(), wanted, rtol=1e-5)  # B is zero
        np.testing.assert_allclose(compute_client_losses(tiny.model, pack).numpy(), wanted, rtol=1e-5)


def test_a_base_that_leaks_between_rows_is_found_and_takes_one_row_a_line(
    tiny: LoadedModel, ffa: AdapterSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = build_orders(ffa, 1)[0]
    shared = train_update(tiny, order)
    layer = tiny.model.get_decoder().layers[0]
    hook = layer.register_forward_hook(lambda _module, _inputs, output: output + output.cumsum(1) * 0.01)
    try:
        assert not is_keeping_rows_apart(tiny)
    finally:
        hook.remove()
    monkeypatch.setattr(training_module, "is_keeping_rows_apart", lambda _: False)
    apart = train_update(tiny, order)
    np.testing.assert_allclose(apart.losses, shared.losses, rtol=2e-4)
    assert compute_steps_apart(apart.update, shared.update, ffa) <= STEPS_APART_MAX
