"""Domains and their seeded partitions."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from flockchain_ml.data import DOMAINS, Domain, compute_seed, generate_shard, generate_suite, is_held_out


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_a_domain_uses_only_the_words_it_lists(domain: Domain) -> None:
    rng = Random(1)
    for _ in range(400):
        for row in (domain.generate(rng), domain.generate_pretraining(rng)):
            assert set(f"{row.prompt} {row.answer}".split()) <= set(domain.words)
            assert row.domain == domain.name


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_a_prompt_has_one_answer_and_pretraining_has_other_prompts(domain: Domain) -> None:
    rng = Random(2)
    answers: dict[str, str] = {}
    for _ in range(1500):
        row = domain.generate(rng)
        assert answers.setdefault(row.prompt, row.answer) == row.answer
    assert not answers.keys() & {domain.generate_pretraining(rng).prompt for _ in range(1500)}


def test_a_shard_is_mostly_one_domain_and_never_held_out() -> None:
    rows = generate_shard(DOMAINS, 1, 1000, 85, seed=3)
    counts = Counter(row.domain for row in rows)
    assert 800 <= counts["units"] <= 900
    assert min(counts.values()) >= 20
    assert not any(is_held_out(row.prompt) for row in rows)


def test_a_suite_holds_every_domain_equally_and_no_training_prompt() -> None:
    rows = generate_suite(DOMAINS, 400, seed=4)
    assert set(Counter(row.domain for row in rows).values()) == {100}
    assert all(is_held_out(row.prompt) for row in rows)


def test_the_same_seed_gives_the_same_rows_and_another_seed_others() -> None:
    assert generate_shard(DOMAINS, 0, 50, 85, seed=5) == generate_shard(DOMAINS, 0, 50, 85, seed=5)
    assert generate_shard(DOMAINS, 0, 50, 85, seed=5) != generate_shard(DOMAINS, 0, 50, 85, seed=6)
    assert compute_seed(7, "shard", 1) != compute_seed(7, "shard", 11)
