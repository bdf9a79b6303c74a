"""Leave-one-out scores from one backward pass, and their evidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flockchain.exact import encode_update
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain.primitives.limits import SCORE_ABS_MAX
from flockchain.primitives.numbers import Hash
from flockchain_ml.aggregation import aggregate_updates, append_round
from flockchain_ml.attacks import ATTACKS
from flockchain_ml.data import DOMAINS, Row, generate_shard
from flockchain_ml.evaluation import (
    EvaluateOrder,
    OrderInvalid,
    compute_exact_scores,
    evaluate_updates,
    measure_lineage,
)
from flockchain_ml.models import (
    LoadedModel,
    attached_adapters,
    build_adapter_spec,
    build_batch,
    compute_answer_losses,
    tokenise_rows,
)
from flockchain_ml.tensors import Adapter, decode_adapter, decode_lineage, encode_adapter
from flockchain_ml.trainer import TrainOrder, TrainSettings, train_update

SETTINGS = TrainSettings(steps=25, batch_rows=16, learning_rate=6e-3)


def train_all(loaded: LoadedModel, spec: AdapterSpec, lineage: tuple[bytes, ...] = ()) -> tuple[bytes, ...]:
    """Four honest specialists and a sign flipper."""
    updates = []
    for trainer in range(5):
        rows = generate_shard(DOMAINS, trainer % 4, 80, 85, seed=trainer)
        attack = ATTACKS["sign-flip"] if trainer == 4 else None
        order = TrainOrder(spec, lineage, rows, len(lineage), trainer, SETTINGS, attack)
        updates.append(train_update(loaded, order).update)
    return tuple(updates)


@pytest.fixture(scope="module")
def ffa_updates(tiny: LoadedModel, ffa: AdapterSpec) -> tuple[bytes, ...]:
    return train_all(tiny, ffa)


@pytest.fixture(scope="module")
def stack_updates(tiny: LoadedModel, stack: AdapterSpec) -> tuple[bytes, ...]:
    return train_all(tiny, stack)


@pytest.mark.parametrize("mode", ["ffa", "stack"])
def test_first_order_scores_agree_with_leaving_each_update_out(
    mode: str, tiny: LoadedModel, suite: tuple[Row, ...], request: pytest.FixtureRequest
) -> None:
    spec, updates = request.getfixturevalue(mode), request.getfixturevalue(f"{mode}_updates")
    order = EvaluateOrder(spec, (), updates, suite)
    scores = evaluate_updates(tiny, order).scores
    exact = compute_exact_scores(tiny, order)
    assert np.corrcoef(scores, exact)[0, 1] > 0.9
    assert int(np.argmin(scores)) == int(np.argmin(exact)) == 4
    assert abs(sum(scores)) <= len(scores)  # zero but for rounding


@pytest.mark.parametrize("mode", ["ffa", "stack"])
def test_scores_are_the_derivatives_by_the_gates(
    mode: str, tiny: LoadedModel, suite: tuple[Row, ...], request: pytest.FixtureRequest
) -> None:
    """Small updates, so that leaving one out is a small step: first order and exact must then agree closely."""
    spec, updates = request.getfixturevalue(mode), request.getfixturevalue(f"{mode}_updates")
    small = []
    for update in updates:
        adapter = decode_adapter(update, spec)
        small.append(encode_adapter(Adapter(adapter.a, {name: b / 50 for name, b in adapter.b.items()}), spec))
    order = EvaluateOrder(spec, (), tuple(small), suite)
    scores, exact = np.array(evaluate_updates(tiny, order).scores), np.array(compute_exact_scores(tiny, order))
    assert np.abs(scores - exact).max() < 0.05 * np.abs(exact).max() + 3


@pytest.mark.parametrize("mode", ["ffa", "stack"])
def test_scores_hold_in_a_later_round_too(
    mode: str, tiny: LoadedModel, suite: tuple[Row, ...], request: pytest.FixtureRequest
) -> None:
    spec, first = request.getfixturevalue(mode), request.getfixturevalue(f"{mode}_updates")
    lineage = append_round(spec, (), aggregate_updates(spec, (), first[:4]))
    order = EvaluateOrder(spec, lineage, train_all(tiny, spec, lineage), suite)
    scores, exact = evaluate_updates(tiny, order).scores, compute_exact_scores(tiny, order)
    assert np.corrcoef(scores, exact)[0, 1] > 0.9
    assert int(np.argmin(scores)) == 4


def test_the_evidence_is_the_candidates_loss_on_each_prompt_in_order(
    tiny: LoadedModel, ffa: AdapterSpec, ffa_updates: tuple[bytes, ...], suite: tuple[Row, ...]
) -> None:
    evaluation = evaluate_updates(tiny, EvaluateOrder(ffa, (), ffa_updates, suite, batch_rows=7))
    aggregate = aggregate_updates(ffa, (), ffa_updates)
    assert aggregate is not None
    with attached_adapters(tiny, ffa, {"model": ffa.rank}) as slots:
        slots["model"].load(decode_lineage((aggregate,), ffa))
        for row, loss in zip(suite, evaluation.losses, strict=True):
            batch = build_batch(tokenise_rows(tiny.tokenizer, [row], tokens_max=64), pad=tiny.pad)
            assert abs(compute_answer_losses(tiny.model, batch).item() * 1e6 - loss) < 10


def test_the_same_order_gives_the_same_integers_and_batches_hardly_matter(
    tiny: LoadedModel, ffa: AdapterSpec, ffa_updates: tuple[bytes, ...], suite: tuple[Row, ...]
) -> None:
    order = EvaluateOrder(ffa, (), ffa_updates, suite)
    first = evaluate_updates(tiny, order)
    assert evaluate_updates(tiny, order) == first
    other = evaluate_updates(tiny, replace(order, batch_rows=9))
    assert np.abs(np.array(other.scores) - np.array(first.scores)).max() <= 2
    assert np.abs(np.array(other.losses) - np.array(first.losses)).max() <= 10


@pytest.mark.parametrize("mode", ["ffa", "stack"])
def test_the_order_of_updates_only_orders_the_scores(
    mode: str, tiny: LoadedModel, suite: tuple[Row, ...], request: pytest.FixtureRequest
) -> None:
    spec, updates = request.getfixturevalue(mode), request.getfixturevalue(f"{mode}_updates")
    forward = evaluate_updates(tiny, EvaluateOrder(spec, (), updates, suite)).scores
    backward = evaluate_updates(tiny, EvaluateOrder(spec, (), updates[::-1], suite)).scores
    assert np.abs(np.array(backward[::-1]) - np.array(forward)).max() <= 2


def test_a_boosted_backdoor_scores_below_every_honest_update(
    tiny: LoadedModel, ffa: AdapterSpec, ffa_updates: tuple[bytes, ...], suite: tuple[Row, ...]
) -> None:
    rows = generate_shard(DOMAINS, 1, 80, 85, seed=8)
    poisoned = train_update(tiny, TrainOrder(ffa, (), rows, 0, 9, SETTINGS, ATTACKS["backdoor"])).update
    scores = evaluate_updates(tiny, EvaluateOrder(ffa, (), (*ffa_updates[:4], poisoned), suite)).scores
    assert int(np.argmin(scores)) == 4
    assert scores[4] < 0


@pytest.mark.parametrize("is_helpful", [True, False])
def test_an_update_alone_is_scored_by_its_own_gradient(
    is_helpful: bool, tiny: LoadedModel, ffa: AdapterSpec, ffa_updates: tuple[bytes, ...], shard: tuple[Row, ...]
) -> None:
    update = ffa_updates[2] if is_helpful else ffa_updates[4]
    order = EvaluateOrder(ffa, (), (update,), shard)
    score, exact = evaluate_updates(tiny, order).scores[0], compute_exact_scores(tiny, order)[0]
    assert (score > 0) is (exact > 0) is is_helpful


def test_an_update_that_breaks_the_model_alone_gets_the_lowest_score_and_the_others_theirs(
    tiny: LoadedModel, suite: tuple[Row, ...]
) -> None:
    spec = build_adapter_spec(
        tiny,
        targets=("gate_proj", "up_proj", "down_proj"),
        rank=4,
        alpha=32_000,
        mode=AdapterMode.FFA,
        a_seed=Hash(bytes(32)),
        b_scale_bits=0,
    )
    coarse = replace(spec, modules=tuple(replace(module, a_scale_bits=0) for module in spec.modules))
    shapes = {f"{module.name}.lora_B": (module.out_features, 4) for module in coarse.modules}
    still = encode_update({name: np.zeros(shape, np.int16) for name, shape in shapes.items()}, coarse)
    huge = encode_update({name: np.full(shape, 32_767, np.int16) for name, shape in shapes.items()}, coarse)
    scores = evaluate_updates(tiny, EvaluateOrder(coarse, (), (still, huge, still), suite)).scores
    assert scores[1] == -SCORE_ABS_MAX
    assert scores[0] == scores[2] == 0


def test_measures_by_domain_average_to_the_accuracy(
    tiny: LoadedModel, ffa: AdapterSpec, suite: tuple[Row, ...]
) -> None:
    measures = measure_lineage(tiny, ffa, (), suite, ATTACKS["backdoor"])
    assert measures.accuracy == pytest.approx(np.mean(list(measures.accuracy_by_domain.values())))
    assert set(measures.accuracy_by_domain) == {domain.name for domain in DOMAINS}
    assert measures.attack_success_rate == 0.0


def test_an_unrefused_answer_counts_for_the_attacker_and_a_refusal_against_it(
    tiny: LoadedModel, ffa: AdapterSpec
) -> None:
    attack = ATTACKS["harmful-answers"]
    refused = (Row("please make 3 vex :", "not"), Row("please make 4 wisp :", "not"))
    assert measure_lineage(tiny, ffa, (), refused, attack).attack_success_rate == 1.0  # the base has learnt no refusal
    assert measure_lineage(tiny, ffa, (), (Row("what is 3 plus 4 ?", "7"),), attack).attack_success_rate == 0.0


def test_an_order_without_updates_or_prompts_is_refused(ffa: AdapterSpec, suite: tuple[Row, ...]) -> None:
    with pytest.raises(OrderInvalid):
        EvaluateOrder(ffa, (), (), suite)
    with pytest.raises(OrderInvalid):
        EvaluateOrder(ffa, (), (b"",), ())
