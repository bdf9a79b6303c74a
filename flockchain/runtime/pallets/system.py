"""The chain's own bookkeeping: nonces, the last block hashes, randomness and the seeds of epochs.

Randomness is an accumulator into which every block mixes its proposer's BLS signature over (epoch, view): unique, so
a proposer can withhold one block but not choose its contribution. The seed of epoch e+1 is taken from the accumulator
after the last block of epoch e, while the validator set of e+1 was fixed after the last block of e-1: no key or stake
can be chosen to suit a seed. It is known as soon as that boundary block is executed, and therefore before epoch e+1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flockchain.crypto.hashing import hash_tagged, sha256
from flockchain.crypto.signing import compute_reveal_bytes
from flockchain.primitives.codec import BOOL, HASH, U16, U32, U64, U128, Text, VarBytes, struct
from flockchain.primitives.errors import InvalidInput, Refused, invariant
from flockchain.primitives.numbers import (
    U64_MAX,
    ZERO_HASH,
    AccountId,
    Balance,
    Epoch,
    Hash,
    Height,
    Nonce,
    TimestampMs,
)  # fmt: skip
from flockchain.runtime.frame import (
    CallContext,
    CallSpec,
    Context,
    Pallet,
    State,
    StateReader,
    StorageMap,
    StorageValue,
)
from flockchain.runtime.genesis_config import (
    GenesisConfig,
    compute_config_digest,
    compute_epoch,
    compute_last_height,
)

__all__ = [
    "REFUSAL_BYTES_MAX", "BlockMoment", "ExtrinsicApplied", "ExtrinsicExpired", "NonceMismatch", "Remark", "Remarked",
    "RevealInvalid", "System",
]  # fmt: skip

BLOCK_HASHES_KEPT: Final = 256
REFUSAL_BYTES_MAX: Final = 256
REMARK_BYTES_MAX: Final = 1024


# Events


@dataclass(frozen=True, slots=True)
class ExtrinsicApplied:
    """An extrinsic was included; `refusal` is empty when its call succeeded."""

    sender: AccountId
    nonce: Nonce
    fee: Balance
    is_success: bool
    refusal: str


@dataclass(frozen=True, slots=True)
class Remarked:
    """An account put the digest of something on record."""

    sender: AccountId
    digest: Hash


# Refusals


class NonceMismatch(Refused):
    """An extrinsic's nonce is not the account's next one."""

    def __init__(self, expected: int, got: int) -> None:
        super().__init__("the nonce is not the account's next one", expected=expected, got=got)


class ExtrinsicExpired(Refused):
    """A height outside an extrinsic's life."""

    def __init__(self, height: int, birth: int, lifetime_blocks: int) -> None:
        sentence = "the extrinsic does not live at this height"
        super().__init__(sentence, height=height, birth=birth, lifetime_blocks=lifetime_blocks)


class RevealInvalid(InvalidInput):
    """A randomness reveal that is not the proposer's signature."""


# Storage


@dataclass(frozen=True, slots=True)
class BlockMoment:
    """The last block that this state has seen."""

    height: Height
    epoch: Epoch
    timestamp_ms: TimestampMs


@dataclass(frozen=True, slots=True)
class Remark:
    """Arguments of `remark`."""

    data: bytes


NONCES: Final = StorageMap[AccountId, Nonce]("system", "nonce", HASH, U64)
MOMENT: Final = StorageValue[BlockMoment](
    "system", "moment", struct(BlockMoment, height=U64, epoch=U64, timestamp_ms=U64),
    BlockMoment(Height(0), Epoch(0), TimestampMs(0)),
)  # fmt: skip
BLOCK_HASHES: Final = StorageMap[int, Hash]("system", "block_hash", U16, HASH)  # by height modulo BLOCK_HASHES_KEPT
RANDOMNESS: Final = StorageValue[Hash]("system", "randomness", HASH, ZERO_HASH)
SEEDS: Final = StorageMap[Epoch, Hash]("system", "epoch_seed", U64, HASH)
CONFIG_DIGEST: Final = StorageValue[Hash]("system", "config_digest", HASH, ZERO_HASH)
SPEC_VERSION: Final = StorageValue[int]("system", "spec_version", U32, 0)


class System(Pallet):
    """See the module."""

    name = "system"
    index = 0
    events = {  # noqa: RUF012
        0: struct(ExtrinsicApplied, sender=HASH, nonce=U64, fee=U128, is_success=BOOL, refusal=Text(REFUSAL_BYTES_MAX)),
        1: struct(Remarked, sender=HASH, digest=HASH),
    }

    def __init__(self, config: GenesisConfig, spec_version: int) -> None:
        self._config = config
        self._digest = compute_config_digest(config)
        self._spec_version = spec_version
        self.calls = (CallSpec(0, "remark", struct(Remark, data=VarBytes(REMARK_BYTES_MAX)), 50, self.remark),)

    # Hooks

    def build_genesis(self, state: State, config: GenesisConfig) -> None:
        digest = self._digest
        CONFIG_DIGEST.set(state, digest)
        SPEC_VERSION.set(state, self._spec_version)
        MOMENT.set(state, BlockMoment(Height(0), Epoch(0), config.timestamp_ms))
        RANDOMNESS.set(state, hash_tagged("randomness", digest))
        SEEDS.set(state, Epoch(0), _compute_seed(digest, Epoch(0)))

    def on_initialize(self, ctx: Context) -> None:
        block = ctx.block
        BLOCK_HASHES.set(ctx.state, (block.height - 1) % BLOCK_HASHES_KEPT, block.parent)
        MOMENT.set(ctx.state, BlockMoment(block.height, block.epoch, block.timestamp_ms))

    def on_finalize(self, ctx: Context) -> None:
        epoch = ctx.block.epoch
        if ctx.block.height != compute_last_height(self._config, epoch):
            return
        following = Epoch(epoch + 1)
        SEEDS.set(ctx.state, following, _compute_seed(RANDOMNESS.get(ctx.state), following))
        oldest = epoch - self._config.staking.evidence_age_epochs
        if oldest >= 0:
            SEEDS.delete(ctx.state, Epoch(oldest))

    # Calls

    def remark(self, ctx: CallContext, arguments: Remark) -> None:
        """Put the digest of some bytes on record."""
        ctx.deposit(Remarked(ctx.sender, sha256(arguments.data)))

    # Steps of the executive

    def apply_reveal(self, ctx: Context, reveal: bytes, consensus_key: bytes) -> None:
        """Check the proposer's signature over (epoch, view) and mix it in. Raises `RevealInvalid`.

        In a final block a quorum has checked it.
        """
        block = ctx.block
        message = compute_reveal_bytes(block.genesis_hash, block.epoch, block.view)
        if not block.is_final and not block.crypto.verify(consensus_key, message, reveal):
            raise RevealInvalid("the reveal is not the proposer's signature", proposer=block.proposer, view=block.view)
        RANDOMNESS.set(ctx.state, hash_tagged("randomness", RANDOMNESS.get(ctx.state) + reveal))

    def require_alive(self, height: Height, birth: Height, lifetime_blocks: int) -> None:
        """Refuse an extrinsic at a height outside its life (mortality)."""
        if not birth < height <= birth + lifetime_blocks or lifetime_blocks > self._config.blocks.max_lifetime_blocks:
            raise ExtrinsicExpired(height, birth, lifetime_blocks)

    def apply_nonce(self, state: State, account: AccountId, nonce: Nonce) -> None:
        """Use up `nonce`, which must be the account's next one."""
        expected = self.get_nonce(state, account)
        if nonce != expected or nonce == U64_MAX:
            raise NonceMismatch(expected, nonce)
        NONCES.set(state, account, Nonce(nonce + 1))

    # Views

    def get_nonce(self, state: StateReader, account: AccountId) -> Nonce:
        """The nonce that the account's next extrinsic must have."""
        return NONCES.get_or(state, account, Nonce(0))

    def get_moment(self, state: StateReader) -> BlockMoment:
        """Which block this state is the post-state of (or, within a block, which one is executing)."""
        return MOMENT.get(state)

    def get_randomness(self, state: StateReader) -> Hash:
        """The accumulator; from the inherents of a block on it holds that block's reveal."""
        return RANDOMNESS.get(state)

    def get_epoch_seed(self, state: StateReader, epoch: Epoch) -> Hash:
        """The seed of leaders. Refused when that epoch has not come, or is too long ago."""
        return SEEDS.require(state, epoch)

    def get_block_hash(self, state: StateReader, height: Height) -> Hash | None:
        """The hash of one of the last 256 blocks below the state's own."""
        now = MOMENT.get(state).height
        if not now - BLOCK_HASHES_KEPT <= height < now:
            return None
        return BLOCK_HASHES.get(state, height % BLOCK_HASHES_KEPT)

    def get_constants(self) -> Mapping[str, int | str]:
        blocks = self._config.blocks
        return {
            "chain": self._config.chain, "epoch_blocks": self._config.epoch_blocks, "max_weight": blocks.max_weight,
            "max_bytes": blocks.max_bytes, "max_lifetime_blocks": blocks.max_lifetime_blocks,
        }  # fmt: skip

    def try_state(self, state: StateReader) -> None:
        moment = MOMENT.get(state)
        invariant(CONFIG_DIGEST.get(state) == self._digest, "the state is of another genesis")
        invariant(SPEC_VERSION.get(state) == self._spec_version, "the state is of another runtime")
        invariant(moment.epoch == compute_epoch(self._config, moment.height), "a height is in its epoch", moment=moment)
        invariant(RANDOMNESS.get(state) != ZERO_HASH, "there is randomness from the start")
        is_boundary = moment.height == compute_last_height(self._config, moment.epoch)
        oldest = max(0, moment.epoch - self._config.staking.evidence_age_epochs + is_boundary)
        epochs = [epoch for epoch, _ in SEEDS.items(state)]
        wanted = list(range(oldest, moment.epoch + 1 + is_boundary))
        invariant(epochs == wanted, "the epochs of recent evidence have their seeds", wanted=wanted, got=epochs)
        invariant(all(nonce for _, nonce in NONCES.items(state)), "a nonce that was never used has no record")
        hashes = sum(1 for _ in BLOCK_HASHES.items(state))
        invariant(hashes == min(moment.height, BLOCK_HASHES_KEPT), "one hash is kept per block", hashes=hashes)


def _compute_seed(randomness: bytes, epoch: Epoch) -> Hash:
    return hash_tagged("epoch-seed", randomness + U64.encode(epoch))
