"""What a defence is: from a view of a round and its own memory to one weight an update, and the memory after.

Pure, and all memory is in the state, which has canonical bytes: who restarts, or joins late, gets the same weights.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from flockchain.primitives.codec import Codec
from flockchain_ml.defences.view import RoundView

__all__ = ["Defence", "Weights"]

S = TypeVar("S")

Weights = tuple[float, ...]  # one an update, none negative, all finite; all zero: the round is dropped


class Defence(Protocol[S]):
    """`reads_claims` is True if a client's own word moves its weight.

    `weighs_samples` is True if the weights have the claimed samples in them already: then the aggregation rule must not
    be told the samples as well, or they would count twice.
    """

    @property
    def name(self) -> str: ...

    @property
    def reads_claims(self) -> bool: ...

    @property
    def weighs_samples(self) -> bool: ...

    @property
    def codec(self) -> Codec[S]:
        """The canonical bytes of the memory."""
        ...

    def get_initial(self) -> S:
        """The memory before the first round."""
        ...

    def weigh(self, view: RoundView, state: S) -> tuple[Weights, S]:
        """Weights are relative: only their ratios count. The state that is passed in is never changed."""
        ...
