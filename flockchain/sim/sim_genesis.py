"""The genesis of simulated worlds: development validators, short epochs, and whichever BLS the world uses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flockchain.crypto import ed25519
from flockchain.crypto.bls import BlsBackend
from flockchain.primitives.numbers import AccountId, Balance, Stake
from flockchain.runtime.dev_keys import build_genesis_validator, derive_dev_account, derive_dev_keys
from flockchain.runtime.genesis import load_genesis
from flockchain.runtime.genesis_config import GenesisAccount, GenesisConfig
from flockchain.sim.adversaries.flooder import FLOODER_ACCOUNT
from flockchain.sim.traffic import TRAFFIC_ACCOUNTS

__all__ = ["USER_BALANCE", "build_sim_genesis", "get_validator_name"]

USER_BALANCE = Balance(10**15)


def get_validator_name(index: int) -> str:
    """The development name of a world's node."""
    return f"validator-{index}"


def build_sim_genesis(template: Path, bls: BlsBackend, nodes: int, stake: Stake | None = None) -> GenesisConfig:
    """The chain of a world with `nodes` validators; everything else as in the `template` genesis file."""
    config = load_genesis(template.read_bytes())
    each = stake or config.validators[0].stake
    validators = tuple(
        build_genesis_validator(derive_dev_keys(get_validator_name(index)), bls, Stake(each), 0)
        for index in range(nodes)
    )
    accounts = tuple(
        GenesisAccount(AccountId(ed25519.get_public_key(derive_dev_account(name))), USER_BALANCE)
        for name in (*TRAFFIC_ACCOUNTS, FLOODER_ACCOUNT)
    )
    return replace(config, validators=validators, accounts=accounts)
