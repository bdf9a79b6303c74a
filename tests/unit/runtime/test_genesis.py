"""Genesis files: read strictly, written back equal, consistent, and committed to by one hash."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from flockchain.crypto import bls
from flockchain.crypto.hashing import compute_block_hash
from flockchain.runtime.dev_keys import build_genesis_validator, derive_dev_account, derive_dev_keys
from flockchain.runtime.flock import build_runtime
from flockchain.runtime.genesis import (
    GenesisMalformed,
    GenesisProofInvalid,
    build_genesis,
    encode_genesis,
    load_genesis,
)
from flockchain.runtime.genesis_config import (
    GenesisConfig,
    GenesisInconsistent,
    compute_config_digest,
    compute_epoch,
    compute_last_height,
    require_consistent,
)
from flockchain.storage.memory_store import MemoryStore
from flockchain.storage.tree import StateTree
from tests.kit.runtime_chain import GENESIS_FOLDER, VALIDATOR_NAMES, load_minimal_genesis

NAMES = ("minimal", "devnet", "testnet")
CONFIG = load_minimal_genesis()


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_files_are_consistent_and_their_chains_start(name: str) -> None:
    config = load_genesis((GENESIS_FOLDER / f"{name}.toml").read_bytes())
    assert config.chain == name
    block, changes, genesis_hash = build_genesis(config)
    assert genesis_hash == compute_block_hash(block.header)
    assert block.header.state_root == StateTree.empty().apply(changes).root
    store = MemoryStore()
    store.write(changes, sync=False)
    build_runtime(config, bls.get_default_backend()).try_state(store)


def test_the_minimal_validators_have_the_development_keys() -> None:
    backend = bls.get_default_backend()
    for name, member in zip(VALIDATOR_NAMES, CONFIG.validators, strict=True):
        assert member == build_genesis_validator(derive_dev_keys(name), backend, member.stake, member.commission_bps)


def test_development_keys_are_fixed_and_all_different() -> None:
    secrets = derive_dev_keys("validator-0")
    assert secrets.account_seed == derive_dev_account("validator-0")
    assert secrets.account.hex() == "d60716a570f2f62208db928d23e2f35018712be39958a84e86581770899bf816"
    every = {getattr(derive_dev_keys(name), field.name) for name in VALIDATOR_NAMES for field in fields(secrets)}
    assert len(every) == 5 * len(VALIDATOR_NAMES)


def test_a_written_genesis_reads_back_equal() -> None:
    assert load_genesis(encode_genesis(CONFIG)) == CONFIG


def test_comments_and_order_do_not_change_the_chain() -> None:
    text = "# a comment\n" + encode_genesis(CONFIG).decode()
    assert build_genesis(load_genesis(text.encode()))[2] == build_genesis(CONFIG)[2]


def list_values(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if is_dataclass(value):
        return [
            leaf for field in fields(value) for leaf in list_values(getattr(value, field.name), (*path, field.name))
        ]
    if isinstance(value, tuple):
        return list_values(value[0], (*path, 0))
    return [path]


def change(value: Any, path: tuple[Any, ...]) -> Any:
    if not path:
        if isinstance(value, int):
            return value + 1
        return value + "x" if isinstance(value, str) else bytes([value[0] ^ 1]) + value[1:]
    if isinstance(value, tuple):
        return (change(value[0], path[1:]), *value[1:])
    return replace(value, **{path[0]: change(getattr(value, path[0]), path[1:])})


@pytest.mark.parametrize("path", list_values(CONFIG), ids=lambda path: ".".join(map(str, path)))
def test_every_value_changes_the_genesis_hash(path: tuple[Any, ...]) -> None:
    changed = change(CONFIG, path)
    assert compute_config_digest(changed) != compute_config_digest(CONFIG)
    runtime = build_runtime(changed, bls.get_default_backend())
    assert runtime.genesis_hash != build_runtime(CONFIG, bls.get_default_backend()).genesis_hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"epoch_blocks = 4\n", b""),
        (b"epoch_blocks = 4\n", b"epoch_blocks = 4\nextra = 1\n"),
        (b"epoch_blocks = 4\n", b'epoch_blocks = "4"\n'),
        (b"epoch_blocks = 4\n", b"epoch_blocks = true\n"),
        (b"epoch_blocks = 4\n", b"epoch_blocks = 4.0\n"),
        (b"epoch_blocks = 4\n", b"epoch_blocks = -4\n"),
        (b"epoch_blocks = 4\n", b"epoch_blocks = 99999999999\n"),
        (b"[staking]\n", b"[staking]\nunknown = 1\n"),
        (b'chain = "minimal"', b"chain = minimal"),
        (b'node_id = "', b'node_id = "00'),
        (b'node_id = "', b'node_id = "0x'),
    ],
)
def test_a_malformed_file_is_refused(old: bytes, new: bytes) -> None:
    data = encode_genesis(CONFIG)
    assert old in data
    with pytest.raises(GenesisMalformed):
        load_genesis(data.replace(old, new))


@pytest.mark.parametrize("data", [b"\xff", b"[", b"a = 1", b""])
def test_what_is_no_genesis_is_refused(data: bytes) -> None:
    with pytest.raises(GenesisMalformed):
        load_genesis(data)


def build_inconsistent() -> dict[str, GenesisConfig]:
    staking, balances, blocks, pace = CONFIG.staking, CONFIG.balances, CONFIG.blocks, CONFIG.consensus
    first, second = CONFIG.validators[:2]
    return {
        "unbonding": replace(CONFIG, staking=replace(staking, unbonding_epochs=staking.evidence_age_epochs)),
        "evidence": replace(CONFIG, staking=replace(staking, evidence_age_epochs=staking.trusting_epochs)),
        "trusting": replace(CONFIG, staking=replace(staking, trusting_epochs=0)),
        "epoch": replace(CONFIG, epoch_blocks=0),
        "few seats": replace(CONFIG, staking=replace(staking, max_validators=3)),
        "many seats": replace(CONFIG, staking=replace(staking, max_validators=257)),
        "stake": replace(CONFIG, staking=replace(staking, min_stake=first.stake + 1)),
        "delegation": replace(CONFIG, staking=replace(staking, min_delegation=0)),
        "bytes": replace(CONFIG, blocks=replace(blocks, max_bytes=64 * 1024)),
        "too many bytes": replace(CONFIG, blocks=replace(blocks, max_bytes=2**30)),
        "weight": replace(CONFIG, blocks=replace(blocks, max_weight=0)),
        "leader": replace(CONFIG, consensus=replace(pace, leader_timeout_ms=pace.view_timeout_ms + 1)),
        "retry": replace(CONFIG, consensus=replace(pace, retry_ms=0)),
        "idle": replace(CONFIG, consensus=replace(pace, idle_block_ms=pace.leader_timeout_ms)),
        "deposit": replace(CONFIG, balances=replace(balances, existential_deposit=0)),
        "issuance": replace(CONFIG, balances=replace(balances, issuance_max=1)),
        "boundless": replace(CONFIG, balances=replace(balances, issuance_max=2**100)),
        "reporter": replace(CONFIG, offences=replace(CONFIG.offences, reporter_bps=5000)),
        "slash": replace(CONFIG, offences=replace(CONFIG.offences, double_vote_bps=10_001)),
        "commission": replace(CONFIG, validators=(replace(first, commission_bps=10_001), second)),
        "nobody": replace(CONFIG, validators=()),
        "shared key": replace(CONFIG, validators=(first, replace(second, node_id=first.score_key))),
        "dust": replace(CONFIG, accounts=(replace(CONFIG.accounts[0], balance=1),)),
        "twice": replace(CONFIG, accounts=CONFIG.accounts[:1] * 2),
    }


@pytest.mark.parametrize("name", build_inconsistent())
def test_settings_that_contradict_one_another_are_refused(name: str) -> None:
    broken = build_inconsistent()[name]
    with pytest.raises(GenesisInconsistent):
        require_consistent(broken)
    with pytest.raises(GenesisInconsistent):
        load_genesis(encode_genesis(broken))


@pytest.mark.parametrize("field", ["consensus_proof", "certificate_proof"])
def test_a_genesis_validator_must_prove_its_keys(field: str) -> None:
    first = CONFIG.validators[0]
    wrong = replace(first, **{field: getattr(CONFIG.validators[1], field)})
    with pytest.raises(GenesisProofInvalid):
        build_genesis(replace(CONFIG, validators=(wrong, *CONFIG.validators[1:])))


def test_epochs_cover_all_heights_without_overlap() -> None:
    assert [compute_epoch(CONFIG, height) for height in range(10)] == [0, 0, 0, 0, 0, 1, 1, 1, 1, 2]  # type: ignore[arg-type]
    for height in range(1, 50):
        epoch = compute_epoch(CONFIG, height)  # type: ignore[arg-type]
        assert epoch * CONFIG.epoch_blocks < height <= compute_last_height(CONFIG, epoch)
