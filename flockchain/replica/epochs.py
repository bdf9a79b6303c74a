"""Which consensus core runs: one per epoch, made from the finalized state that opens it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flockchain.consensus.config import ConsensusKeys, CoreConfig, EpochContext
from flockchain.consensus.core import Core
from flockchain.consensus.guard import GuardState
from flockchain.primitives.numbers import AccountId, Epoch, Hash, Height
from flockchain.primitives.validator_set import ValidatorSet
from flockchain.runtime.pallets.staking import EpochUnknown
from flockchain.runtime.views import Views
from flockchain.storage.overlay import StateReader

__all__ = ["Epochs", "Identity"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this participant is on the chain. Without consensus keys it only follows."""

    account: AccountId
    keys: ConsensusKeys | None


class Epochs:
    """Opens epochs and answers which one a height belongs to."""

    def __init__(self, views: Views, config: CoreConfig, identity: Identity) -> None:
        self._views = views
        self._config = config
        self._identity = identity

    def compute_epoch(self, height: Height) -> Epoch:
        return self._views.get_epoch(height)

    def compute_last_height(self, epoch: Epoch) -> Height:
        return self._views.get_last_height(epoch)

    def compute_anchor_height(self, epoch: Epoch) -> Height:
        """The last height before `epoch`."""
        return self.compute_last_height(Epoch(epoch - 1)) if epoch else Height(0)

    def compute_open_epoch(self, head: Height) -> Epoch:
        """The epoch of the block after a finalized `head`."""
        return self.compute_epoch(Height(head + 1))

    def find_validators(self, state: StateReader, epoch: Epoch) -> ValidatorSet | None:
        """The set of an epoch that the state knows: recent, current or next."""
        try:
            return self._views.get_validator_set(state, epoch)
        except EpochUnknown:
            return None

    def open(
        self, state: StateReader, epoch: Epoch, anchor_hash: Hash, guard_records: Iterable[bytes], *, is_muted: bool
    ) -> Core:
        """The core of `epoch`; `state` is finalized in it or is its anchor's. The guard goes on where it stood."""
        validators = self._views.get_validator_set(state, epoch)
        my_index = self._find_seat(validators)
        context = EpochContext(
            epoch=epoch,
            validators=validators,
            seed=self._views.get_epoch_seed(state, epoch),
            anchor_hash=anchor_hash,
            anchor_height=self.compute_anchor_height(epoch),
            last_height=self.compute_last_height(epoch),
            my_index=my_index,
        )
        guard = GuardState.restore(epoch, guard_records)
        guard.is_muted = is_muted
        return Core(self._config, context, guard, self._identity.keys if my_index is not None else None)

    def _find_seat(self, validators: ValidatorSet) -> int | None:
        """Our index, if the set names the key that we sign with: a seat with another key of ours is not ours to use."""
        keys, index = self._identity.keys, validators.get_index_of(self._identity.account)
        if keys is None or index is None:
            return None
        public_key = self._config.bls.get_public_key(keys.secret_key)
        return index if validators.validators[index].consensus_key == public_key else None
