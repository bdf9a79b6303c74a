"""Secrets that everybody knows: the keys of development chains, derived from names.

The account of `name` has the ed25519 seed SHA-256("FLOCKCHAIN/dev-key\\0<name>/account"); "node" and "score" likewise;
"consensus" and "certificate" are the seeds of BLS keys. Never put value on a chain whose genesis names such keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from flockchain.crypto import bls, ed25519
from flockchain.crypto.bls import BlsBackend
from flockchain.crypto.hashing import hash_tagged
from flockchain.primitives.numbers import AccountId, NodeId, Stake
from flockchain.runtime.genesis_config import GenesisValidator

__all__ = ["ValidatorSecrets", "build_genesis_validator", "derive_dev_account", "derive_dev_keys"]


@dataclass(frozen=True, slots=True, repr=False)
class ValidatorSecrets:
    """Every secret of one validator: three ed25519 seeds and two BLS secret keys."""

    account_seed: bytes
    node_seed: bytes
    score_seed: bytes
    consensus_secret: bytes
    certificate_secret: bytes

    @property
    def account(self) -> AccountId:
        return AccountId(ed25519.get_public_key(self.account_seed))

    @property
    def node_id(self) -> NodeId:
        return NodeId(ed25519.get_public_key(self.node_seed))

    @property
    def score_key(self) -> bytes:
        return ed25519.get_public_key(self.score_seed)

    def get_consensus_key(self, backend: BlsBackend) -> bytes:
        return backend.get_public_key(self.consensus_secret)

    def get_certificate_key(self, backend: BlsBackend) -> bytes:
        return backend.get_public_key(self.certificate_secret)


@lru_cache(maxsize=256)
def derive_dev_keys(name: str) -> ValidatorSecrets:
    """All secrets of the development validator `name`, e.g. "validator-0"."""
    return ValidatorSecrets(
        account_seed=derive_dev_account(name),
        node_seed=_derive_seed(name, "node"),
        score_seed=_derive_seed(name, "score"),
        consensus_secret=bls.generate_secret_key(_derive_seed(name, "consensus")),
        certificate_secret=bls.generate_secret_key(_derive_seed(name, "certificate")),
    )


def derive_dev_account(name: str) -> bytes:
    """The account seed of the development account `name`, e.g. "faucet"."""
    return _derive_seed(name, "account")


def build_genesis_validator(
    secrets: ValidatorSecrets, backend: BlsBackend, stake: Stake, commission_bps: int
) -> GenesisValidator:
    """The public side of a validator as a genesis names it, with its proofs of possession."""
    return GenesisValidator(
        account=secrets.account,
        node_id=secrets.node_id,
        score_key=secrets.score_key,
        consensus_key=secrets.get_consensus_key(backend),
        consensus_proof=backend.prove_possession(secrets.consensus_secret),
        certificate_key=secrets.get_certificate_key(backend),
        certificate_proof=backend.prove_possession(secrets.certificate_secret),
        stake=stake,
        commission_bps=commission_bps,
    )


def _derive_seed(name: str, role: str) -> bytes:
    return hash_tagged("dev-key", f"{name}/{role}".encode())
