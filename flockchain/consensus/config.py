"""What a consensus core is told once: its chain's constants, its epoch, its key.

Everything here is frozen for the life of one core. Where the numbers come from (genesis, state, keystore)
is the replica's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from flockchain.crypto.bls import BlsBackend
from flockchain.primitives.errors import invariant
from flockchain.primitives.numbers import Epoch, Hash, Height
from flockchain.primitives.validator_set import ValidatorSet

__all__ = ["ConsensusKeys", "CoreConfig", "EpochContext"]


@dataclass(frozen=True, slots=True)
class CoreConfig:
    """What all epochs of a chain share. Times in milliseconds, before back-off (see `timers`)."""

    genesis_hash: Hash
    bls: BlsBackend
    leader_timeout_ms: int = 1_000  # to the leader's proposal
    view_timeout_ms: int = 2_000  # to any certificate of the view
    retry_ms: int = 1_000  # between rebroadcasts while nothing moves
    timeout_max_ms: int = 60_000  # back-off stops here

    def __post_init__(self) -> None:
        invariant(
            0 < self.leader_timeout_ms <= self.view_timeout_ms <= self.timeout_max_ms,
            "the leader's time-out must not be over the view's, nor that over the maximum",
            leader_ms=self.leader_timeout_ms,
            view_ms=self.view_timeout_ms,
            max_ms=self.timeout_max_ms,
        )
        invariant(self.retry_ms > 0, "a retry needs a positive time", retry_ms=self.retry_ms)


@dataclass(frozen=True, slots=True)
class EpochContext:
    """One epoch: who votes, who leads (by `seed`), and between which blocks it lies.

    The anchor is the last block of the epoch before (or genesis): view 0 of this epoch, final from the start.
    `my_index` is our place in `validators`, None for a node that only follows or whose key is not the one named there.
    """

    epoch: Epoch
    validators: ValidatorSet
    seed: Hash
    anchor_hash: Hash
    anchor_height: Height
    last_height: Height
    my_index: int | None

    def __post_init__(self) -> None:
        invariant(self.validators.epoch == self.epoch, "the validator set is of another epoch", epoch=self.epoch)
        invariant(self.validators.total_stake > 0, "nobody has stake in this epoch", epoch=self.epoch)
        invariant(
            self.last_height > self.anchor_height,
            "an epoch has at least one block",
            anchor=self.anchor_height,
            last=self.last_height,
        )
        count = len(self.validators.validators)
        invariant(self.my_index is None or 0 <= self.my_index < count, "no such member", index=self.my_index)


@dataclass(frozen=True, slots=True)
class ConsensusKeys:
    """Our BLS consensus key; it signs votes and nothing else here."""

    secret_key: bytes = field(repr=False)
