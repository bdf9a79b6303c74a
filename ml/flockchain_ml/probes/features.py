"""What a logistic probe looks at: the direction of the first transformer layer's ΔB (Safe-FedLLM, arXiv 2601.07177).

All LoRA modules of the first layer, by name, flattened one after another and scaled to length one. Against which B the
change is taken is the caller's business: the round's global one (step and client level) or the initial one (shadow and
evidence level). The length is lost, so an update that is only multiplied looks the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from flockchain.primitives.errors import InvalidInput
from flockchain_ml.tensors import FloatArray

__all__ = ["FeatureInvalid", "compute_feature", "find_first_layer"]


class FeatureInvalid(InvalidInput):
    """Tensors from which no feature can be made."""


def find_first_layer(names: Iterable[str]) -> tuple[str, ...]:
    """The modules of the first transformer layer, ascending. A name's first number is its layer: `model.layers.0.`."""
    layers: dict[int, list[str]] = {}
    for name in names:
        number = next((int(part) for part in name.split(".") if part.isascii() and part.isdigit()), None)
        if number is not None:
            layers.setdefault(number, []).append(name)
    if not layers:
        raise FeatureInvalid("no module belongs to a numbered layer", modules=",".join(names))
    return tuple(sorted(layers[min(layers)]))


def compute_feature(deltas: Mapping[str, FloatArray], modules: Sequence[str]) -> FloatArray:
    """ΔB of these modules as one vector of length one, f32; zeros stay zeros. Raises `FeatureInvalid`."""
    missing = [name for name in modules if name not in deltas]
    if missing or not modules:
        raise FeatureInvalid("a feature needs ΔB of every module of the first layer", missing=",".join(missing))
    flat = np.concatenate([deltas[name].astype(np.float64).reshape(-1) for name in sorted(modules)])
    if not np.isfinite(flat).all():
        raise FeatureInvalid("ΔB holds NaN or an infinity", values=flat.size)
    largest = float(np.abs(flat).max())
    if largest == 0:
        return flat.astype(np.float32)
    flat /= largest  # so that no square overflows or vanishes
    feature: FloatArray = (flat / np.linalg.norm(flat)).astype(np.float32)
    return feature
