"""Weighted means of updates in integers, and who is present: the exact tier's mean, with a share for every update.

Weights become integer shares, the largest 2**20, so a mean has the same bits on every machine and in every order. With
equal weights it is the chain's aggregate, byte for byte. An update whose weight is under 2**-21 of the largest is
absent. Knows adapters' bytes and numbers; not why an update weighs what it weighs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flockchain.exact import (
    STACK_EXTRA_SCALE_BITS,
    AggregateError,
    decode_aggregate,
    decode_update,
    divide_half_even,
    encode_aggregate,
)
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain.primitives.limits import UPDATES_PER_ROUND_MAX
from flockchain_ml.aggregation.rule import RoundInput, RoundOutcome, aggregate_updates

__all__ = [
    "SHARE_ONE", "build_mean_outcome", "build_unmoved_outcome", "combine_updates", "compute_shares", "find_present",
    "narrow",
]  # fmt: skip

SHARE_ONE: Final = 1 << 20
_INT32: Final = np.iinfo(np.int32)


def compute_shares(weights: Sequence[float]) -> tuple[int, ...]:
    """Weights as integers, the largest `SHARE_ONE`; all 0 if no weight is positive."""
    largest = max(weights, default=0.0)
    if largest <= 0:
        return (0,) * len(weights)
    return tuple(round(Fraction(weight) / Fraction(largest) * SHARE_ONE) for weight in weights)


def find_present(round: RoundInput) -> tuple[int, ...]:
    """Positions of the updates that weigh anything, in an order that depends on what they are, not on their places."""
    weights, samples, trainers = round.get_weights(), round.get_sample_weights(), round.trainers
    keys = {
        index: (
            hashlib.sha256(round.updates[index]).digest(),
            weights[index],
            samples[index],
            trainers[index : index + 1],
        )
        for index, share in enumerate(compute_shares(weights))
        if share
    }
    return tuple(sorted(keys, key=lambda index: (keys[index], index)))


def build_unmoved_outcome(round: RoundInput) -> RoundOutcome:
    """Nobody is accepted and the model stays."""
    return RoundOutcome((), round.reputations, None)


def build_mean_outcome(
    round: RoundInput, weights: Mapping[int, float], scales: Mapping[int, float] | None = None
) -> RoundOutcome:
    """The weighted mean of the updates at these positions, each first multiplied by its scale (at most 1)."""
    positions = sorted(weights)
    shares = compute_shares([weights[index] for index in positions])
    accepted = [(index, share) for index, share in zip(positions, shares, strict=True) if share]
    aggregate = combine_updates(
        round.spec,
        round.lineage,
        [round.updates[index] for index, _ in accepted],
        [share for _, share in accepted],
        [scales[index] for index, _ in accepted] if scales is not None else None,
    )
    return RoundOutcome(tuple(index for index, _ in accepted), round.reputations, aggregate)


def combine_updates(
    spec: AdapterSpec,
    lineage: Sequence[bytes],
    updates: Sequence[bytes],
    shares: Sequence[int],
    scales: Sequence[float] | None = None,
) -> bytes | None:
    """Σ share·scale·update / Σ share on top of the model, or None without updates. Shares and scales are as above."""
    if not updates:
        return None
    if len(updates) > UPDATES_PER_ROUND_MAX:
        raise AggregateError("a round has too many updates", updates=len(updates), most=UPDATES_PER_ROUND_MAX)
    if scales is None or all(scale == 1 for scale in scales):
        if len(set(shares)) == 1:
            return aggregate_updates(spec, lineage, updates)
        scales = [1.0] * len(updates)
    numerators = [round(Fraction(scale) * share) for scale, share in zip(scales, shares, strict=True)]
    combine = _combine_ffa if spec.mode is AdapterMode.FFA else _combine_stack
    return encode_aggregate(combine(spec, lineage, updates, numerators, sum(shares)), spec)


def narrow(name: str, values: NDArray[Any]) -> NDArray[np.int32]:
    """int32, or `AggregateError`."""
    if values.size and (values.min() < _INT32.min or values.max() > _INT32.max):
        raise AggregateError(
            "a sum does not fit 32 bits", tensor=name, lowest=int(values.min()), highest=int(values.max())
        )
    return values.astype(np.int32)


def _combine_ffa(
    spec: AdapterSpec, lineage: Sequence[bytes], updates: Sequence[bytes], numerators: Sequence[int], divisor: int
) -> dict[str, NDArray[np.int32]]:
    sums: dict[str, NDArray[np.int64]] = {}
    for data, numerator in zip(updates, numerators, strict=True):
        for name, tensor in decode_update(data, spec).items():
            part = tensor.astype(np.int64) * numerator  # at most 2**35; 128 of them stay far inside int64
            sums[name] = sums[name] + part if name in sums else part
    old = decode_aggregate(lineage[-1], spec) if lineage else {}
    means = {name: divide_half_even(total, divisor) for name, total in sums.items()}
    return {name: narrow(name, mean + old[name] if name in old else mean) for name, mean in means.items()}


def _combine_stack(
    spec: AdapterSpec, lineage: Sequence[bytes], updates: Sequence[bytes], numerators: Sequence[int], divisor: int
) -> dict[str, NDArray[np.int32]]:
    order = sorted(
        range(len(updates)), key=lambda at: (hashlib.sha256(updates[at]).digest(), updates[at], numerators[at])
    )
    decoded = [(decode_update(updates[at], spec), numerators[at]) for at in order]
    result: dict[str, NDArray[np.int32]] = {}
    for module in spec.modules:
        a_name, b_name = f"{module.name}.lora_A", f"{module.name}.lora_B"
        result[a_name] = np.concatenate([tensors[a_name] for tensors, _ in decoded], axis=0).astype(np.int32)
        columns = np.concatenate([tensors[b_name].astype(np.int64) * factor for tensors, factor in decoded], axis=1)
        result[b_name] = narrow(b_name, divide_half_even(columns << STACK_EXTRA_SCALE_BITS, divisor))
    return result
