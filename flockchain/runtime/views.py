"""What other parts ask of the state: epochs, sets, seeds, nonces, balances. One door to the pallets' own views.

Knows where an answer is kept. Does not change state, and works on any post-state: finalized, or a block's own.
"""

from __future__ import annotations

from collections.abc import Mapping

from flockchain.primitives.numbers import AccountId, Balance, Epoch, Hash, Height, Nonce
from flockchain.primitives.validator_set import ValidatorSet
from flockchain.runtime.genesis_config import GenesisConfig, compute_epoch, compute_last_height
from flockchain.runtime.pallets.balances import Balances
from flockchain.runtime.pallets.staking import SETS, Staking
from flockchain.runtime.pallets.system import BlockMoment, System
from flockchain.storage.overlay import StateReader

__all__ = ["Views", "find_fixed_sets", "list_fixed_sets"]


class Views:
    """Reads of one chain's states."""

    def __init__(self, config: GenesisConfig, system: System, balances: Balances, staking: Staking) -> None:
        self._config = config
        self._system = system
        self._balances = balances
        self._staking = staking

    def get_epoch(self, height: Height) -> Epoch:
        """The epoch of the block at `height`; genesis counts as epoch 0, whose anchor it is."""
        return compute_epoch(self._config, height)

    def get_last_height(self, epoch: Epoch) -> Height:
        """The height of the epoch's boundary block."""
        return compute_last_height(self._config, epoch)

    def get_moment(self, state: StateReader) -> BlockMoment:
        """Height, epoch and time of the block that `state` is the post-state of."""
        return self._system.get_moment(state)

    def get_validator_set(self, state: StateReader, epoch: Epoch) -> ValidatorSet:
        """The set of the state's epoch, the next one, and at a boundary the one after; recent ones for evidence.

        Raises `EpochUnknown` for others.
        """
        return self._staking.get_validator_set(state, epoch)

    def get_epoch_seed(self, state: StateReader, epoch: Epoch) -> Hash:
        """What the leaders of `epoch` are drawn from: known in the post-state of the epoch before's last block."""
        return self._system.get_epoch_seed(state, epoch)

    def get_randomness(self, state: StateReader) -> Hash:
        """The accumulated randomness after the block."""
        return self._system.get_randomness(state)

    def get_nonce(self, state: StateReader, account: AccountId) -> Nonce:
        """The nonce that the account's next extrinsic must have."""
        return self._system.get_nonce(state, account)

    def get_balance(self, state: StateReader, account: AccountId) -> Balance:
        """What the account can spend."""
        return self._balances.get_free(state, account)

    def get_issuance(self, state: StateReader) -> Balance:
        """All units there are."""
        return self._balances.get_issuance(state)

    def get_block_hash(self, state: StateReader, height: Height) -> Hash | None:
        """The hash of one of the last 256 blocks below the state's own."""
        return self._system.get_block_hash(state, height)


def find_fixed_sets(changes: Mapping[bytes, bytes | None]) -> dict[Epoch, bytes]:
    """The encoded validator sets of later epochs among a block's changes of state."""
    start = len(SETS.prefix)
    return {
        SETS.key_codec.decode(key[start:]): value
        for key, value in changes.items()
        if value is not None and key.startswith(SETS.prefix)
    }


def list_fixed_sets(state: StateReader) -> dict[Epoch, bytes]:
    """The encoded validator sets that a state knows: of its epoch, of later ones, and of some before."""
    return find_fixed_sets(dict(state.scan(SETS.prefix)))
