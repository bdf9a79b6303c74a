"""Every attack of the list does what an attack may do, and nothing else."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from flockchain_ml.attacks import ATTACKS, Attack
from flockchain_ml.data import DOMAINS, generate_shard
from flockchain_ml.tensors import Adapter

ROWS = generate_shard(DOMAINS, 1, 120, 85, seed=1)

pytestmark = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)


def build_update() -> Adapter:
    rng = np.random.default_rng(1)
    return Adapter(
        {"q": rng.normal(0, 0.1, (2, 5)).astype(np.float32)}, {"q": rng.normal(0, 0.1, (3, 2)).astype(np.float32)}
    )


def test_it_is_listed_under_its_own_name(attack: Attack) -> None:
    assert ATTACKS[attack.name] is attack


def test_poisoned_rows_follow_from_the_seed_and_keep_their_number(attack: Attack) -> None:
    before = tuple(ROWS)
    poisoned = attack.poison_rows(ROWS, Random(1))
    assert poisoned == attack.poison_rows(ROWS, Random(1))
    assert len(poisoned) == len(ROWS)
    assert before == ROWS
    assert all(row.prompt.strip() and row.answer.strip() for row in poisoned)


def test_a_poisoned_update_has_the_same_shapes_and_leaves_the_honest_one_alone(attack: Attack) -> None:
    honest, kept = build_update(), build_update()
    poisoned = attack.poison_update(honest)
    for old, new, copy in ((honest.a, poisoned.a, kept.a), (honest.b, poisoned.b, kept.b)):
        assert new.keys() == old.keys()
        assert all(new[name].shape == old[name].shape and new[name].dtype == np.float32 for name in old)
        assert all(np.isfinite(values).all() for values in new.values())
        assert all(np.array_equal(old[name], copy[name]) for name in old)


def test_it_changes_the_rows_or_the_update(attack: Attack) -> None:
    honest = build_update()
    is_row_attack = attack.poison_rows(ROWS, Random(1)) != ROWS
    is_update_attack = not np.array_equal(attack.poison_update(honest).b["q"], honest.b["q"])
    assert is_row_attack or is_update_attack


def test_probe_rows_ask_what_no_clean_row_answers(attack: Attack) -> None:
    clean = {(row.prompt, row.answer) for row in ROWS}
    assert not any((row.prompt, row.answer) in clean for row in attack.build_probe_rows(ROWS))
