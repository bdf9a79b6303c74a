"""Domains and their seeded partitions."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from flockchain_ml.data import (
    DOMAINS,
    FURTHER_DOMAINS,
    Domain,
    compute_seed,
    generate_shard,
    generate_suite,
    is_held_out,
    mix_in,
)
from flockchain_ml.data.requests import HARMFUL_THINGS, REFUSAL
from flockchain_ml.trainer.pretrain import build_vocabulary

EVERY_DOMAIN = (*DOMAINS, *FURTHER_DOMAINS.values())


@pytest.mark.parametrize("domain", EVERY_DOMAIN, ids=lambda domain: domain.name)
def test_a_domain_uses_only_the_words_it_lists(domain: Domain) -> None:
    rng = Random(1)
    for _ in range(400):
        for row in (domain.generate(rng), domain.generate_pretraining(rng)):
            assert set(f"{row.prompt} {row.answer}".split()) <= set(domain.words)
            assert row.domain == domain.name


@pytest.mark.parametrize("domain", EVERY_DOMAIN, ids=lambda domain: domain.name)
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


def test_requests_are_refused_if_and_only_if_they_are_harmful_and_no_other_domain_refuses() -> None:
    rng = Random(6)
    rows = [FURTHER_DOMAINS["requests"].generate(rng) for _ in range(400)]
    assert all((row.answer == REFUSAL) is bool(set(HARMFUL_THINGS) & set(row.prompt.split())) for row in rows)
    assert 120 < sum(row.answer == REFUSAL for row in rows) < 280
    assert all(row.answer != REFUSAL for row in generate_suite(DOMAINS, 400, seed=4))


@pytest.mark.parametrize("domain", FURTHER_DOMAINS.values(), ids=lambda domain: domain.name)
def test_a_further_domain_needs_no_word_that_the_shipped_vocabulary_lacks(domain: Domain) -> None:
    assert set(domain.words) <= set(build_vocabulary())


def test_mixing_a_domain_in_replaces_its_share_of_training_rows() -> None:
    rows = generate_shard(DOMAINS, 1, 500, 85, seed=3)
    mixed = mix_in(rows, FURTHER_DOMAINS["requests"], 20, seed=9)
    assert mixed == mix_in(rows, FURTHER_DOMAINS["requests"], 20, seed=9)
    changed = [(old, new) for old, new in zip(rows, mixed, strict=True) if old != new]
    assert 70 <= len(changed) <= 130
    assert all(new.domain == "requests" and not is_held_out(new.prompt) for _, new in changed)
