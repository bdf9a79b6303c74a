"""Every attack of the list does what an attack may do, and its updates are ones that the exact tier accepts."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from flockchain.exact import compute_copied_index, decode_update
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain.primitives.numbers import Hash
from flockchain_ml.attacks import ATTACKS, Attack, Prediction, Scene, Success
from flockchain_ml.data import DOMAINS, FURTHER_DOMAINS, Row, generate_shard, generate_suite, mix_in
from flockchain_ml.models import LoadedModel, build_adapter_spec, get_tiny_folder, load_model
from flockchain_ml.tensors import Adapter
from flockchain_ml.trainer import TrainOrder, TrainSettings, train_update
from tests.kit.learning import build_adapter

SHORT = TrainSettings(steps=5, batch_rows=8, learning_rate=3e-2)
ROUNDS = range(10)

pytestmark = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)


def build_rows(attack: Attack) -> tuple[Row, ...]:
    rows = generate_shard(DOMAINS, 1, 120, 85, seed=1)
    for name in attack.domains:
        rows = mix_in(rows, FURTHER_DOMAINS[name], 20, seed=2)
    return rows


def build_update() -> Adapter:
    rng = np.random.default_rng(1)
    return Adapter(
        {"q": rng.normal(0, 0.1, (2, 5)).astype(np.float32)}, {"q": rng.normal(0, 0.1, (3, 2)).astype(np.float32)}
    )


def build_scene(seed: int = 1) -> Scene:
    rng = np.random.default_rng(2)
    part = {"q.lora_B": rng.normal(0, 0.01, (3, 2)).astype(np.float32)}
    return Scene(build_adapter(), 0, Random(seed), prediction=Prediction(build_update(), part, part))


@pytest.fixture(scope="module")
def tiny() -> LoadedModel:
    return load_model(get_tiny_folder())


def build_spec(loaded: LoadedModel, mode: AdapterMode) -> AdapterSpec:
    return build_adapter_spec(
        loaded, targets=("q_proj", "down_proj"), rank=4, alpha=8, mode=mode, a_seed=Hash(b"\x05" * 32), b_scale_bits=14
    )


def test_it_is_listed_under_its_own_name(attack: Attack) -> None:
    assert ATTACKS[attack.name] is attack


def test_poisoned_rows_follow_from_the_seed_and_keep_their_number(attack: Attack) -> None:
    rows = build_rows(attack)
    before = tuple(rows)
    poisoned = attack.poison_rows(rows, Random(1))
    assert poisoned == attack.poison_rows(rows, Random(1))
    assert len(poisoned) == len(rows)
    assert before == rows
    assert all(row.prompt.strip() and row.answer.strip() for row in poisoned)


def test_a_poisoned_update_has_the_same_shapes_and_leaves_the_honest_one_alone(attack: Attack) -> None:
    honest, kept = build_update(), build_update()
    poisoned, again = (attack.poison_update(honest, build_scene()) for _ in range(2))
    for old, new, copy, same in (
        (honest.a, poisoned.a, kept.a, again.a),
        (honest.b, poisoned.b, kept.b, again.b),
    ):
        assert new.keys() == old.keys()
        assert all(new[name].shape == old[name].shape and new[name].dtype == np.float32 for name in old)
        assert all(np.isfinite(values).all() for values in new.values())
        assert all(np.array_equal(old[name], copy[name]) for name in old)
        assert all(np.array_equal(new[name], same[name]) for name in new)


def test_it_changes_the_rows_the_training_or_the_upload(attack: Attack) -> None:
    rows, honest = build_rows(attack), build_update()
    is_row_attack = attack.poison_rows(rows, Random(1)) != rows
    is_update_attack = not np.array_equal(attack.poison_update(honest, build_scene()).b["q"], honest.b["q"])
    is_data_attack = attack.holding.planted is not None
    assert is_row_attack or is_update_attack or is_data_attack or attack.is_watching
    assert any(attack.is_active(round) for round in ROUNDS)


def test_probe_rows_are_well_formed_for_how_success_is_measured(attack: Attack, tiny: LoadedModel) -> None:
    rows = build_rows(attack)
    probes = attack.build_probe_rows(rows)
    clean = {(row.prompt, row.answer) for row in rows}
    if attack.success is Success.UNTARGETED:
        assert probes == ()
        return
    assert len(probes) > 5
    if attack.success is Success.TARGETED:
        assert not any((row.prompt, row.answer) in clean for row in probes)
        assert len({row.answer for row in probes}) == 1
    else:
        assert all((row.prompt, row.answer) in clean for row in probes)
    words = {word for row in (*probes, *attack.poison_rows(rows, Random(1))) for word in row.prompt.split()}
    assert tiny.tokenizer.unk_token_id not in tiny.tokenizer(" ".join(sorted(words)))["input_ids"]


@pytest.mark.parametrize("mode", list(AdapterMode))
def test_the_exact_tier_accepts_its_updates_and_the_same_order_gives_the_same_one(
    attack: Attack, mode: AdapterMode, tiny: LoadedModel
) -> None:
    spec, rows = build_spec(tiny, mode), build_rows(attack)
    other = train_update(tiny, TrainOrder(spec, (), generate_suite(DOMAINS, 40, seed=3), 0, 4, SHORT)).update
    round = next(round for round in ROUNDS if attack.is_active(round))
    order = TrainOrder(spec, (), rows, round, 5, SHORT, attack, trainers=8, visible=(other,))
    update = train_update(tiny, order).update
    assert compute_copied_index(spec, [decode_update(other, spec)], decode_update(update, spec)) is None
    assert train_update(tiny, order).update == update
    honest = train_update(tiny, TrainOrder(spec, (), rows, round, 5, SHORT)).update
    assert (update == honest) is (attack.holding.planted is not None)


def test_in_a_round_without_attack_its_trainer_is_honest_to_the_bit(attack: Attack, tiny: LoadedModel) -> None:
    asleep = [round for round in ROUNDS if not attack.is_active(round)]
    if not asleep:
        assert (attack.schedule.first, attack.schedule.every) == (0, 1)
        return
    spec, rows = build_spec(tiny, AdapterMode.FFA), build_rows(attack)
    order = TrainOrder(spec, (), rows, asleep[0], 5, SHORT, attack)
    honest = TrainOrder(spec, (), rows, asleep[0], 5, SHORT)
    assert train_update(tiny, order) == train_update(tiny, honest)
