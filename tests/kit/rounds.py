"""Closed rounds of small adapters, and what they say in plain float arrays: the ground of reference computations.

Products are built in full here, and entries are read from the bytes' integers, by other code than the rules use.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flockchain.exact import (
    STACK_EXTRA_SCALE_BITS,
    compute_initial_a,
    decode_aggregate,
    decode_update,
    encode_update,
)
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain_ml.aggregation import RoundInput
from tests.kit.learning import build_adapter

__all__ = [
    "FFA", "STACK", "build_cluster", "build_round", "get_entries", "get_moved_entries", "get_moved_products",
    "get_products", "truncate",
]  # fmt: skip

FFA, STACK = build_adapter(), build_adapter(AdapterMode.STACK)
Values = NDArray[np.float64]


def build_round(spec: AdapterSpec, updates: tuple[bytes, ...], **fields: Any) -> RoundInput:
    """A round with nothing before it."""
    zeros = (0,) * len(updates)
    return RoundInput(
        **{"spec": spec, "lineage": (), "updates": updates, "scores": zeros, "reputations": zeros, **fields}
    )


def build_cluster(
    spec: AdapterSpec, count: int, seed: int, spread: float = 0.1, scale: float = 1.0
) -> tuple[bytes, ...]:
    """Updates around a common one that only `seed` determines: `spread` is their noise over its size."""
    centre, noise = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    middle = {name: centre.normal(0, 500, shape) for name, shape in _get_shapes(spec).items()}
    updates = []
    for _ in range(count):
        tensors = {}
        for name, values in middle.items():
            factor = scale if name.endswith("B") else 1.0
            moved = factor * (values + spread * noise.normal(0, 500, values.shape))
            tensors[name] = np.clip(np.rint(moved), -32767, 32767).astype(np.int16)
        updates.append(encode_update(tensors, spec))
    return tuple(updates)


def get_entries(spec: AdapterSpec, update: bytes) -> Values:
    """[entries] what entry-wise rules work on: ΔB (FFA) or ΔW (STACK), modules in order."""
    tensors = decode_update(update, spec)
    return _join_entries(spec, _read(spec, tensors, 0)) if spec.mode is AdapterMode.FFA else get_products(spec, update)


def get_products(spec: AdapterSpec, update: bytes) -> Values:
    """[entries] ΔW = B·A, built in full."""
    return _join_products(spec, _read(spec, decode_update(update, spec), 0))


def get_moved_entries(round: RoundInput, aggregate: bytes) -> Values:
    """[entries] what an aggregate adds to the round's model, in the entries of `get_entries`."""
    if round.spec.mode is AdapterMode.STACK:
        return get_moved_products(round, aggregate)
    return _join_entries(round.spec, _read_moved(round, aggregate))


def get_moved_products(round: RoundInput, aggregate: bytes) -> Values:
    """[entries] what an aggregate adds to the round's model, as ΔW."""
    return _join_products(round.spec, _read_moved(round, aggregate))


def truncate(spec: AdapterSpec, entries: Values) -> Values:
    """STACK: the best approximation of the task's rank, module by module. FFA: as it is."""
    if spec.mode is AdapterMode.FFA:
        return entries
    found, start = [], 0
    for module in spec.modules:
        size = module.out_features * module.in_features
        matrix = entries[start : start + size].reshape(module.out_features, module.in_features)
        left, values, right = np.linalg.svd(matrix, full_matrices=False)
        values[spec.rank :] = 0
        found.append(((left * values) @ right).ravel())
        start += size
    return np.concatenate(found)


def _get_shapes(spec: AdapterSpec) -> dict[str, tuple[int, int]]:
    shapes = {f"{m.name}.lora_B": (m.out_features, spec.rank) for m in spec.modules}
    if spec.mode is AdapterMode.STACK:
        shapes |= {f"{m.name}.lora_A": (spec.rank, m.in_features) for m in spec.modules}
    return dict(sorted(shapes.items()))


def _read(spec: AdapterSpec, tensors: dict[str, Any], extra_bits: int) -> dict[str, Values]:
    frozen = compute_initial_a(spec) if spec.mode is AdapterMode.FFA else tensors
    found = {}
    for module in spec.modules:
        a_name, b_name = f"{module.name}.lora_A", f"{module.name}.lora_B"
        found[a_name] = frozen[a_name].astype(np.float64) / 2**module.a_scale_bits
        found[b_name] = tensors[b_name].astype(np.float64) / 2 ** (module.b_scale_bits + extra_bits)
    return found


def _read_moved(round: RoundInput, aggregate: bytes) -> dict[str, Values]:
    spec = round.spec
    extra_bits = STACK_EXTRA_SCALE_BITS if spec.mode is AdapterMode.STACK else 0
    after = _read(spec, decode_aggregate(aggregate, spec), extra_bits)
    if spec.mode is AdapterMode.FFA and round.lineage:
        before = _read(spec, decode_aggregate(round.lineage[-1], spec), 0)
        after |= {name: after[name] - before[name] for name in after if name.endswith("B")}
    return after


def _join_entries(spec: AdapterSpec, tensors: dict[str, Values]) -> Values:
    return np.concatenate([tensors[f"{m.name}.lora_B"].ravel() for m in spec.modules])


def _join_products(spec: AdapterSpec, tensors: dict[str, Values]) -> Values:
    return np.concatenate([(tensors[f"{m.name}.lora_B"] @ tensors[f"{m.name}.lora_A"]).ravel() for m in spec.modules])
