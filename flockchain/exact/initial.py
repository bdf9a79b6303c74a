"""The initial A matrices of a task: a counter-mode SHA-256 stream of integers, the same bits everywhere (PROTOCOL §4).

Block c of a module's stream is SHA-256(tag ‖ a_seed ‖ round:u32 ‖ length of name:u16 ‖ name ‖ c:u64), 16 big-endian
int16 a block, filling A [rank, in_features] row by row. So an entry is uniform over the int16 range, and its real
value over ±2**(15 - a_scale_bits).
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from flockchain.primitives.learning import AdapterSpec, ModuleShape

__all__ = ["compute_a_scale_bits", "compute_initial_a"]

_TAG = b"FLOCKCHAIN/initial-a/v1\0"
_VALUES_PER_BLOCK = 16


def compute_initial_a(spec: AdapterSpec, round: int = 0) -> dict[str, NDArray[np.int16]]:
    """ "<module>.lora_A" -> int16 [rank, in_features] for every module, by name ascending.

    FFA: `round` is 0 for the task's whole life, for A is frozen. STACK: the start that a round suggests.
    """
    return {
        f"{module.name}.lora_A": _compute_module_a(spec, module, round)
        for module in sorted(spec.modules, key=lambda module: module.name)
    }


def compute_a_scale_bits(in_features: int) -> int:
    """The scale at which the initial A is uniform over about ±1/sqrt(in_features), as LoRA initialises it."""
    return 15 + (in_features - 1).bit_length() // 2


def _compute_module_a(spec: AdapterSpec, module: ModuleShape, round: int) -> NDArray[np.int16]:
    name = module.name.encode("utf-8")
    prefix = hashlib.sha256(_TAG + spec.a_seed + round.to_bytes(4, "big") + len(name).to_bytes(2, "big") + name)
    count = spec.rank * module.in_features
    stream = bytearray()
    for counter in range(-(-count // _VALUES_PER_BLOCK)):
        block = prefix.copy()
        block.update(counter.to_bytes(8, "big"))
        stream += block.digest()
    values = np.frombuffer(bytes(stream), np.dtype(">i2"), count)
    return values.astype(np.int16).reshape(spec.rank, module.in_features)
