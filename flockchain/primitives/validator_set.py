"""The validators of one epoch, with the keys and the stake that count in it."""

from __future__ import annotations

from dataclasses import dataclass

from flockchain.primitives.codec import HASH, U64, U128, FixedBytes, ListOf, struct
from flockchain.primitives.limits import VALIDATORS_MAX
from flockchain.primitives.numbers import AccountId, Epoch, NodeId, Stake, is_quorum

__all__ = ["VALIDATOR", "VALIDATOR_SET", "Validator", "ValidatorSet"]


@dataclass(frozen=True, slots=True)
class Validator:
    """One member. Each key has one role and only one (PROTOCOL §1)."""

    account: AccountId
    node_id: NodeId  # ed25519, peer handshakes
    score_key: bytes  # ed25519, 32 bytes: score commits and reveals
    consensus_key: bytes  # BLS, 48 bytes: consensus votes and randomness reveals
    certificate_key: bytes  # BLS, 48 bytes: aggregate certificates
    stake: Stake


@dataclass(frozen=True, slots=True)
class ValidatorSet:
    """Members in ascending order of account; a vote's `signer` is an index into this order."""

    epoch: Epoch
    validators: tuple[Validator, ...]

    @property
    def total_stake(self) -> Stake:
        return Stake(sum(validator.stake for validator in self.validators))

    def get_stake_of(self, indexes: frozenset[int] | set[int] | tuple[int, ...]) -> Stake:
        """Stake of the members at `indexes` (each within range, none twice)."""
        return Stake(sum(self.validators[index].stake for index in indexes))

    def has_quorum(self, indexes: frozenset[int] | set[int] | tuple[int, ...]) -> bool:
        """Whether these members hold strictly more than 2/3 of the set's stake."""
        return is_quorum(self.get_stake_of(indexes), self.total_stake)

    def get_index_of(self, account: AccountId) -> int | None:
        """The member's index, or None."""
        for index, validator in enumerate(self.validators):
            if validator.account == account:
                return index
        return None


VALIDATOR = struct(
    Validator, account=HASH, node_id=HASH, score_key=HASH, consensus_key=FixedBytes(48),
    certificate_key=FixedBytes(48), stake=U128,
)  # fmt: skip
VALIDATOR_SET = struct(ValidatorSet, epoch=U64, validators=ListOf(VALIDATOR, VALIDATORS_MAX))
