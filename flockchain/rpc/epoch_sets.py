"""The validator sets of all epochs, for light clients: from the state, and where it forgot them, from the archive.

Knows where a set may be; whoever asks compares the set's hash with a header's.
"""

from __future__ import annotations

from flockchain.primitives.numbers import Epoch
from flockchain.primitives.validator_set import VALIDATOR_SET, ValidatorSet
from flockchain.rpc.backend import ChainBackend
from flockchain.rpc.failures import NotThere
from flockchain.runtime.pallets.staking import EpochUnknown
from flockchain.runtime.views import find_fixed_sets

__all__ = ["get_epoch_set"]


def get_epoch_set(backend: ChainBackend, epoch: Epoch) -> ValidatorSet:
    """The validators of an epoch. Raises `NotThere`: the epoch is still to come, or this node began after it."""
    try:
        return backend.runtime.views.get_validator_set(backend.chain.state, epoch)
    except EpochUnknown:
        kept = backend.chain.get_validator_set(epoch)
    if kept is not None:
        return kept
    first = find_fixed_sets(backend.runtime.genesis_changes).get(epoch)
    if first is None:
        raise NotThere("this node does not have the validators of that epoch", epoch=epoch)
    return VALIDATOR_SET.decode(first)
