"""Deterministic keys: validator 0, 1, 2, … and accounts 0, 1, 2, … are the same in every test."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from flockchain.crypto import bls, ed25519
from flockchain.crypto.hashing import hash_tagged
from flockchain.primitives.numbers import AccountId, Epoch, NodeId, Stake
from flockchain.primitives.validator_set import Validator, ValidatorSet

__all__ = [
    "ValidatorKeys",
    "build_account",
    "build_ordered_keys",
    "build_seed",
    "build_validator_keys",
    "build_validator_set",
]


@dataclass(frozen=True, slots=True)
class ValidatorKeys:
    """Every secret of one validator; no key has two roles."""

    account_seed: bytes
    node_seed: bytes
    score_seed: bytes
    consensus_secret: bytes
    certificate_secret: bytes

    @property
    def account(self) -> AccountId:
        return AccountId(ed25519.get_public_key(self.account_seed))

    def build_validator(self, stake: int) -> Validator:
        """The public side."""
        return Validator(
            account=self.account,
            node_id=NodeId(ed25519.get_public_key(self.node_seed)),
            score_key=ed25519.get_public_key(self.score_seed),
            consensus_key=bls.get_public_key(self.consensus_secret),
            certificate_key=bls.get_public_key(self.certificate_secret),
            stake=Stake(stake),
        )


def build_seed(name: str) -> bytes:
    """32 bytes that only `name` determines."""
    return hash_tagged("test-key", name.encode())


def build_account(number: int) -> tuple[bytes, AccountId]:
    """Seed and identity of account `number`."""
    seed = build_seed(f"account/{number}")
    return seed, AccountId(ed25519.get_public_key(seed))


@cache
def build_validator_keys(number: int) -> ValidatorKeys:
    """The keys of validator `number`."""
    return ValidatorKeys(
        account_seed=build_seed(f"validator/{number}/account"),
        node_seed=build_seed(f"validator/{number}/node"),
        score_seed=build_seed(f"validator/{number}/score"),
        consensus_secret=bls.generate_secret_key(build_seed(f"validator/{number}/consensus")),
        certificate_secret=bls.generate_secret_key(build_seed(f"validator/{number}/certificate")),
    )


def build_validator_set(stakes: tuple[int, ...] = (100, 100, 100, 100), epoch: int = 0) -> ValidatorSet:
    """One validator for each stake, in ascending order of account; `build_ordered_keys` has their secrets."""
    members = (build_validator_keys(number).build_validator(stake) for number, stake in enumerate(stakes))
    return ValidatorSet(Epoch(epoch), tuple(sorted(members, key=lambda member: member.account)))


def build_ordered_keys(count: int = 4) -> tuple[ValidatorKeys, ...]:
    """The keys of `build_validator_set`'s members, in its order."""
    return tuple(sorted((build_validator_keys(number) for number in range(count)), key=lambda keys: keys.account))
