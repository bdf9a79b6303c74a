"""Safe-FedLLM, shadow level (arXiv 2601.07177): w = (1 − r)⁷ of a second training from the fixed initial adapter.

The client runs it every round on the same data, which doubles its work, and reports it itself. No memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flockchain.primitives.codec import Codec, struct
from flockchain_ml.defences.defence import Reading, Weights
from flockchain_ml.defences.memory import NoMemory
from flockchain_ml.defences.view import RoundView
from flockchain_ml.defences.weighing import compute_shadow_trust, compute_weights

__all__ = ["SafeShadow"]


@dataclass(frozen=True, slots=True)
class SafeShadow:
    """Weights n·w under the safety gate. A client without a shadow training has w = 1."""

    name: ClassVar[str] = "safe-shadow"
    reads: ClassVar[frozenset[Reading]] = frozenset({Reading.SAMPLES, Reading.SHADOW_SCORES})
    weighs_samples: ClassVar[bool] = True
    codec: ClassVar[Codec[NoMemory]] = struct(NoMemory)

    def get_initial(self) -> NoMemory:
        return NoMemory()

    def is_shadow_due(self, state: NoMemory, trainer: bytes) -> bool:
        """Whether this trainer owes a shadow training in its next round: always."""
        return True

    def weigh(self, view: RoundView, state: NoMemory) -> tuple[Weights, NoMemory]:
        return compute_weights(view, [compute_shadow_trust(one.claim) for one in view.submissions]), state
