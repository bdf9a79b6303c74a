"""The plan: the same seed gives the same network, and no key or address is used twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from flockchain.crypto.bls import get_default_backend
from flockchain.devnet.plan import (
    PORTS_PER_NODE,
    AttackPlan,
    DevnetPlan,
    DevnetSettings,
    build_genesis_config,
    build_plan,
    parse_attack,
)
from flockchain.devnet.shipped_chains import load_shipped_genesis
from flockchain.primitives.errors import InvalidInput
from flockchain.runtime.genesis import build_genesis, encode_genesis, load_genesis


def build_settings(**changes: object) -> DevnetSettings:
    fields: dict[str, object] = {
        "home": Path("net"), "validators": 4, "trainers": 8, "rounds": 5,
        "attack": AttackPlan("backdoor", 3), "seed": 7,
    }  # fmt: skip
    return DevnetSettings(**{**fields, **changes})  # type: ignore[arg-type]


def plan_it(settings: DevnetSettings) -> DevnetPlan:
    return build_plan(settings, range(20_000, 20_000 + PORTS_PER_NODE * settings.validators))


def test_the_same_seed_gives_the_same_plan_and_another_seed_other_keys() -> None:
    assert plan_it(build_settings()) == plan_it(build_settings())
    first, other = plan_it(build_settings()), plan_it(build_settings(seed=8))
    assert {node.secrets.account for node in first.nodes} & {node.secrets.account for node in other.nodes} == set()
    assert first.creator_seed != other.creator_seed


def test_the_attackers_are_as_many_as_asked_for_and_the_rest_is_honest() -> None:
    attacks = [trainer.attack for trainer in plan_it(build_settings()).trainers]
    assert attacks == [None] * 5 + ["backdoor"] * 3
    assert [trainer.attack for trainer in plan_it(build_settings(attack=None)).trainers] == [None] * 8


def test_guests_are_the_first_trainers_and_honest() -> None:
    trainers = plan_it(build_settings(guests=2)).trainers
    assert [trainer.is_guest for trainer in trainers] == [True] * 2 + [False] * 6
    assert [trainer.attack for trainer in trainers[:2]] == [None, None]


def test_no_secret_and_no_address_is_used_twice() -> None:
    plan = plan_it(build_settings())
    secrets = [plan.creator_seed, *(trainer.account_seed for trainer in plan.trainers)]
    addresses = []
    for node in plan.nodes:
        keys = node.secrets
        secrets += [keys.account_seed, keys.node_seed, keys.score_seed, keys.consensus_secret, keys.certificate_secret]
        addresses += [node.peer_address, node.api_address, node.metrics_address, node.evaluator_address]
    assert len(set(secrets)) == len(secrets)
    assert len(set(addresses)) == len(addresses)


def test_the_genesis_is_consistent_proven_and_funds_everybody() -> None:
    plan = plan_it(build_settings())
    template = load_genesis(load_shipped_genesis("devnet"))
    config = build_genesis_config(plan, template, 1_800_000_000_000, get_default_backend())
    assert load_genesis(encode_genesis(config)) == config
    block, _, _ = build_genesis(config)
    assert block.header.height == 0
    assert config.chain == "devnet-7"
    assert len(config.accounts) == 4 + 8 + 1
    assert {member.account for member in config.validators} == {node.secrets.account for node in plan.nodes}


@pytest.mark.parametrize(
    "changes",
    [
        {"validators": 0},
        {"guests": 6},
        {"trainers": 0},
        {"rounds": -1},
        {"attack": AttackPlan("backdoor", 9)},
        {"validators": 65},
    ],
)
def test_an_impossible_network_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="out of range"):
        plan_it(build_settings(**changes))


def test_too_few_ports_are_refused() -> None:
    with pytest.raises(InvalidInput, match="ports"):
        build_plan(build_settings(), range(3))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("backdoor:3", AttackPlan("backdoor", 3)),
        ("sign_flip", AttackPlan("sign_flip", 1)),
        ("none", None),
        (None, None),
    ],
)
def test_an_attack_is_read_from_name_and_count(text: str | None, expected: AttackPlan | None) -> None:
    assert parse_attack(text) == expected


@pytest.mark.parametrize("text", [":3", "backdoor:", "backdoor:-1", "backdoor:x"])
def test_an_attack_without_a_name_or_a_count_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="NAME:COUNT"):
        parse_attack(text)
