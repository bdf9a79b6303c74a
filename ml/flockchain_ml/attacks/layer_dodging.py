"""Layer dodging: the tensors that a probe of the first layer's B watches have honest values, the poison is elsewhere.

In STACK mode the first layer's A is among the tensors that carry poison.
"""

from __future__ import annotations

import re
from typing import Final

from flockchain_ml.attacks.attack import Attack, Constraint
from flockchain_ml.attacks.backdoor import Backdoor

__all__ = ["LAYER_DODGING", "is_watched"]

_FIRST_LAYER: Final = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.0\..*\.lora_B$")


def is_watched(tensor: str) -> bool:
    """Whether this is B of a module of the first transformer layer, under the names of usual architectures."""
    return _FIRST_LAYER.search(tensor) is not None


LAYER_DODGING: Final = Attack("layer-dodging", Backdoor(), constraint=Constraint(is_held=is_watched))
