"""Scaling an update's effect: B is multiplied, A stays."""

from __future__ import annotations

import numpy as np

from flockchain_ml.tensors import Adapter

__all__ = ["scale_update"]


def scale_update(update: Adapter, factor: float) -> Adapter:
    """The same update with its product B·A times `factor`."""
    return Adapter(update.a, {name: (values * np.float32(factor)) for name, values in update.b.items()})
