"""The integer probe as a defence: a suspect counts half as much and is looked at more closely. It vetoes nobody.

Exact: integers decide, and the weights 1 and ½ are exact floats. Reads uploads only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final

from flockchain.primitives.codec import Codec, struct
from flockchain_ml.defences.defence import Reading, Weights
from flockchain_ml.defences.memory import NoMemory
from flockchain_ml.defences.view import RoundView, ViewInvalid
from flockchain_ml.probes import IntegerProbe
from flockchain_ml.probes.versions import LATEST

__all__ = ["SUSPECT_WEIGHT", "AdvisoryProbe", "find_suspects"]

SUSPECT_WEIGHT: Final = 0.5  # above zero on purpose: who stays near the mean passes, and honest specialists look odd


@dataclass(frozen=True, slots=True)
class AdvisoryProbe:
    """Weight 1, or ½ for a suspect."""

    name: ClassVar[str] = "integer-probe"
    reads: ClassVar[frozenset[Reading]] = frozenset({Reading.TENSORS})
    weighs_samples: ClassVar[bool] = False
    codec: ClassVar[Codec[NoMemory]] = struct(NoMemory)

    probe: IntegerProbe = field(default_factory=lambda: LATEST)

    def get_initial(self) -> NoMemory:
        return NoMemory()

    def weigh(self, view: RoundView, state: NoMemory) -> tuple[Weights, NoMemory]:
        suspects = find_suspects(self.probe, view)
        return tuple(SUSPECT_WEIGHT if index in suspects else 1.0 for index in range(len(view.submissions))), state


def find_suspects(probe: IntegerProbe, view: RoundView) -> frozenset[int]:
    """The positions that deserve a closer look: an exact score, an audit. Raises `ViewInvalid` without the uploads."""
    tensors = [submission.tensors for submission in view.submissions if submission.tensors is not None]
    if len(tensors) != len(view.submissions):
        raise ViewInvalid("the integer probe reads every upload", updates=len(view.submissions), got=len(tensors))
    return frozenset(index for index, found in enumerate(probe.judge_updates(tensors)) if found.is_suspect)
