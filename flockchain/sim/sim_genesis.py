"""The genesis of simulated worlds: development validators, short epochs, and whichever BLS the world uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from flockchain.crypto import ed25519
from flockchain.crypto.bls import BlsBackend
from flockchain.primitives.numbers import AccountId, Balance, Stake, TimestampMs
from flockchain.runtime.dev_keys import build_genesis_validator, derive_dev_account, derive_dev_keys
from flockchain.runtime.genesis import load_genesis
from flockchain.runtime.genesis_config import GenesisAccount, GenesisConfig
from flockchain.sim.adversaries.flooder import FLOODER_ACCOUNT
from flockchain.sim.healing import WITNESS_ACCOUNT
from flockchain.sim.traffic import TRAFFIC_ACCOUNTS

__all__ = ["USER_BALANCE", "build_sim_genesis", "get_validator_name"]

USER_BALANCE = Balance(10**15)


def get_validator_name(index: int) -> str:
    """The development name of a world's node."""
    return f"validator-{index}"


def build_sim_genesis(
    template: Path,
    bls: BlsBackend,
    stakes_percent: Sequence[int],
    seed: int,
    guests: int = 0,
    epoch_blocks: int | None = None,
) -> GenesisConfig:
    """The chain of a world with one validator for each part of the `template` genesis' stake; else like the template.

    Epochs have `epoch_blocks`, or as many as the template's. The owners of validators, and of `guests` more nodes, have
    money too.
    It begins some milliseconds later with each `seed`: another chain, and so other leaders, committees and prompts.
    """
    config = load_genesis(template.read_bytes())
    whole = config.validators[0].stake
    validators = tuple(
        build_genesis_validator(derive_dev_keys(get_validator_name(index)), bls, Stake(whole * percent // 100), 0)
        for index, percent in enumerate(stakes_percent)
    )
    owners = (get_validator_name(index) for index in range(len(validators) + guests))
    accounts = tuple(
        GenesisAccount(AccountId(ed25519.get_public_key(derive_dev_account(name))), USER_BALANCE)
        for name in (*TRAFFIC_ACCOUNTS, FLOODER_ACCOUNT, WITNESS_ACCOUNT, *owners)
    )
    return replace(
        config,
        timestamp_ms=TimestampMs(config.timestamp_ms + seed),
        epoch_blocks=epoch_blocks or config.epoch_blocks,
        staking=replace(config.staking, max_validators=max(config.staking.max_validators, len(validators) + guests)),
        validators=validators,
        accounts=accounts,
    )
