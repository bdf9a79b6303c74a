"""No defence: every update counts the same. What the others are measured against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flockchain.primitives.codec import Codec, struct
from flockchain_ml.defences.defence import Reading, Weights
from flockchain_ml.defences.memory import NoMemory
from flockchain_ml.defences.view import RoundView

__all__ = ["Undefended"]


@dataclass(frozen=True, slots=True)
class Undefended:
    """Weight 1 for everybody."""

    name: ClassVar[str] = "none"
    reads: ClassVar[frozenset[Reading]] = frozenset()
    weighs_samples: ClassVar[bool] = False
    codec: ClassVar[Codec[NoMemory]] = struct(NoMemory)

    def get_initial(self) -> NoMemory:
        return NoMemory()

    def weigh(self, view: RoundView, state: NoMemory) -> tuple[Weights, NoMemory]:
        return (1.0,) * len(view.submissions), state
