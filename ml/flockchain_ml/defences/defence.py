"""What a defence is: from a view of a round and its own memory to one weight an update, and the memory after.

Pure, and all memory is in the state, which has canonical bytes: who restarts, or joins late, gets the same weights.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Protocol, TypeVar, runtime_checkable

from flockchain.primitives.codec import Codec
from flockchain_ml.defences.view import RoundView

__all__ = ["CLAIMED", "AsksShadows", "Defence", "Reading", "Weights"]

S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)

Weights = tuple[float, ...]  # one an update, none negative, all finite; all zero: the round is dropped


class Reading(StrEnum):
    """What a defence looks at of a submission. Whoever makes the view makes what is read and may leave out the rest."""

    SAMPLES = "claimed samples"
    STEP_SCORES = "claimed scores of every step"
    SHADOW_SCORES = "claimed scores of a shadow training"
    UPLOAD_SCORE = "score of the upload"
    TENSORS = "integers of the upload"
    VOTE = "vote"


CLAIMED: Final = frozenset({Reading.SAMPLES, Reading.STEP_SCORES, Reading.SHADOW_SCORES})  # the client's own word


class Defence(Protocol[S]):
    """`reads`: all that moves its weights, besides who sent an update and the round's number.

    `weighs_samples` is True if the weights have the claimed samples in them already: then the aggregation rule must not
    be told the samples as well, or they would count twice.
    """

    @property
    def name(self) -> str: ...

    @property
    def reads(self) -> frozenset[Reading]: ...

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


@runtime_checkable
class AsksShadows(Protocol[S_contra]):
    """A defence that asks some trainers for a second training, from the initial adapter."""

    def is_shadow_due(self, state: S_contra, trainer: bytes) -> bool:
        """Whether this trainer owes one in its next round."""
        ...
