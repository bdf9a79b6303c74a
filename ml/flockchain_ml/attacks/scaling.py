"""Scaling an update's effect: B is multiplied, A stays."""

from __future__ import annotations

from typing import Final

import numpy as np

from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.tensors import Adapter

__all__ = ["fit_to_wire", "scale_update"]

_INT16_MAX: Final = 32767


def scale_update(update: Adapter, factor: float) -> Adapter:
    """The same update with its product B·A times `factor`."""
    return Adapter(update.a, {name: (values * np.float32(factor)) for name, values in update.b.items()})


def fit_to_wire(update: Adapter, spec: AdapterSpec) -> Adapter:
    """The update, or the largest multiple of it whose B fits the wire's int16: a refused upload gains nothing."""
    factor = 1.0
    for module in spec.modules:
        largest = float(np.abs(update.b[module.name]).max(initial=0.0))
        limit = np.ldexp(float(_INT16_MAX), -module.b_scale_bits)
        if largest * factor > limit:
            factor = limit / largest * (1 - 1e-6)
    return update if factor == 1.0 else scale_update(update, factor)
