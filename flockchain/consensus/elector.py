"""Who leads a view: a draw by stake from the epoch's seed. A pure function, so every node gets the same answer."""

from __future__ import annotations

from flockchain.crypto.hashing import hash_tagged
from flockchain.primitives.codec import U64
from flockchain.primitives.errors import InvariantBroken
from flockchain.primitives.numbers import Hash, View
from flockchain.primitives.validator_set import ValidatorSet

__all__ = ["compute_leader"]


def compute_leader(validators: ValidatorSet, seed: Hash, view: View) -> int:
    """The leader's index, with probability stake / total (up to 2^-128: a 256-bit draw over a 128-bit total)."""
    draw = int.from_bytes(hash_tagged("leader", seed + U64.encode(view)), "big") % validators.total_stake
    for index, validator in enumerate(validators.validators):
        if draw < validator.stake:
            return index
        draw -= validator.stake
    raise InvariantBroken("a draw below the total stake falls on a member", view=view)
