"""The aggregate of a round's accepted updates, exact: a function of the set of updates, in integers (LEARNING §5).

FFA. A is frozen, so the mean of the products is the product of the mean:
    B_new = B_old + round_half_even(Σ ΔB_i / n), sums in int64, result int32 at the module's b_scale_bits.

STACK. The mean of n products B_i·A_i is one product of concatenations, in ascending order of SHA-256(update bytes):
    A = [A_1; ...; A_n]    B = [round_half_even(B_i · 2**15 / n), ...]    int32
A keeps a_scale_bits; B is at b_scale_bits + STACK_EXTRA_SCALE_BITS. With n a power of two B/n is exact; otherwise it is
within 2**-16 of an int16 step, the same bits everywhere. A model in STACK mode is the sum of all rounds' stacks.

It knows adapters' bytes; not who sent them, nor why they were accepted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flockchain.exact.adapter_file import Tensors, decode_aggregate, decode_update, encode_aggregate
from flockchain.exact.rounding import divide_half_even
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain.primitives.limits import UPDATES_PER_ROUND_MAX

__all__ = ["STACK_EXTRA_SCALE_BITS", "AggregateError", "compute_aggregate"]

STACK_EXTRA_SCALE_BITS = 15  # |int16 · 2**15| <= 2**30, inside int32
_INT32 = np.iinfo(np.int32)


class AggregateError(InvalidInput):
    """Updates that do not add up: none, too many, or a sum outside int32."""


def compute_aggregate(spec: AdapterSpec, previous: bytes | None, updates: Sequence[bytes]) -> bytes:
    """The canonical bytes of the aggregate of `updates`, in whatever order they come.

    `previous` is the model's last aggregate (None: B starts at zero). STACK has no use for it: its rounds add up.
    Raises `AdapterFileError` for bytes that are not this adapter's, `AggregateError` for a set that does not add up.
    """
    if not 1 <= len(updates) <= UPDATES_PER_ROUND_MAX:
        raise AggregateError("an aggregate needs at least one update", updates=len(updates), most=UPDATES_PER_ROUND_MAX)
    if spec.mode is AdapterMode.FFA:
        return encode_aggregate(_compute_ffa(spec, previous, updates), spec)
    return encode_aggregate(_compute_stack(spec, updates), spec)


def _compute_ffa(spec: AdapterSpec, previous: bytes | None, updates: Sequence[bytes]) -> Tensors:
    sums: dict[str, NDArray[np.int64]] = {}
    for data in updates:
        for name, tensor in decode_update(data, spec).items():
            if name in sums:
                sums[name] += tensor
            else:
                sums[name] = tensor.astype(np.int64)
    old = decode_aggregate(previous, spec) if previous is not None else {}
    result: Tensors = {}
    for name, total in sums.items():
        mean = divide_half_even(total, len(updates))
        result[name] = _narrow(name, mean + old[name] if name in old else mean)
    return result


def _compute_stack(spec: AdapterSpec, updates: Sequence[bytes]) -> Tensors:
    ordered = sorted(updates, key=lambda data: (hashlib.sha256(data).digest(), data))
    decoded = [decode_update(data, spec) for data in ordered]
    result: Tensors = {}
    for module in spec.modules:
        a_name, b_name = f"{module.name}.lora_A", f"{module.name}.lora_B"
        result[a_name] = np.concatenate([tensors[a_name] for tensors in decoded], axis=0).astype(np.int32)
        columns = np.concatenate([tensors[b_name] for tensors in decoded], axis=1).astype(np.int64)
        scaled = divide_half_even(columns << STACK_EXTRA_SCALE_BITS, len(updates))
        result[b_name] = _narrow(b_name, scaled)
    return result


def _narrow(name: str, values: NDArray[np.int64]) -> NDArray[np.int32]:
    if values.size and (values.min() < _INT32.min or values.max() > _INT32.max):
        raise AggregateError(
            "a sum does not fit 32 bits", tensor=name, lowest=int(values.min()), highest=int(values.max())
        )
    return values.astype(np.int32)
