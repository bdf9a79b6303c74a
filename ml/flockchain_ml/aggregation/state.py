"""A rule's memory between rounds as bytes: named float64 arrays, one encoding of a value."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from flockchain.primitives.errors import InvalidInput

__all__ = ["StateInvalid", "decode_state", "encode_state", "get_part"]


class StateInvalid(InvalidInput):
    """Bytes that are no rule's state."""


def encode_state(tensors: Mapping[str, NDArray[np.float64]]) -> bytes:
    """Canonical bytes; b"" for no memory at all."""
    if not tensors:
        return b""
    return bytes(save({name: np.ascontiguousarray(tensors[name], np.float64) for name in sorted(tensors)}))


def decode_state(state: bytes) -> dict[str, NDArray[np.float64]]:
    """The arrays by name. Raises `StateInvalid`."""
    if not state:
        return {}
    try:
        tensors = load(state)
    except SafetensorError as error:
        raise StateInvalid(f"these bytes are no rule's state: {error}", size_bytes=len(state)) from error
    if any(values.dtype != np.float64 for values in tensors.values()):
        raise StateInvalid("a rule's state is float64", dtypes=sorted({str(v.dtype) for v in tensors.values()}))
    return dict(tensors)


def get_part(tensors: Mapping[str, NDArray[np.float64]], prefix: str) -> dict[str, NDArray[np.float64]]:
    """The arrays whose names begin with `prefix/`, without it."""
    head = prefix + "/"
    return {name.removeprefix(head): values for name, values in tensors.items() if name.startswith(head)}
