"""Floats in canonical bytes: one encoding a value, no NaN, no infinity, no negative zero.

For records that are learnt in floats, such as a probe's weights or a defence's memory. Knows of no record.
"""

from __future__ import annotations

import math
import struct as packing
from typing import Final

import numpy as np

from flockchain.primitives.codec import Codec, DecodeError, EncodeError, Reader, VarBytes
from flockchain_ml.tensors import FloatArray

__all__ = ["F64", "Float32Array", "Float64"]

_PACKER: Final = packing.Struct(">d")
_WIDTH: Final = 4


class Float64(Codec[float]):
    """An IEEE 754 double in eight bytes, big-endian."""

    def write(self, out: bytearray, value: float) -> None:
        if not math.isfinite(value):
            raise EncodeError("a number is finite", value=value)
        out += _PACKER.pack(value + 0.0)  # which makes a negative zero positive

    def read(self, reader: Reader) -> float:
        value = float(_PACKER.unpack(reader.take(_PACKER.size))[0])
        if not math.isfinite(value) or (value == 0 and math.copysign(1, value) < 0):
            raise DecodeError("a number is finite, and zero has no sign", value=value)
        return value

    def encode(self, value: float) -> bytes:
        out = bytearray()
        self.write(out, value)
        return bytes(out)

    def decode(self, data: bytes) -> float:
        reader = Reader(bytes(data))
        value = self.read(reader)
        if reader.offset != reader.end:
            raise DecodeError("bytes follow the end of the value", trailing=reader.end - reader.offset)
        return value


class Float32Array(Codec[FloatArray]):
    """At most `max_items` IEEE 754 singles, big-endian, behind the 32-bit length of their bytes: [items]."""

    def __init__(self, max_items: int) -> None:
        self._bytes = VarBytes(_WIDTH * max_items)

    def write(self, out: bytearray, value: FloatArray) -> None:
        if value.ndim != 1 or not np.isfinite(value).all():
            raise EncodeError("an array has one axis and finite values", shape=value.shape)
        self._bytes.write(out, (value + np.float32(0)).astype(">f4").tobytes())

    def read(self, reader: Reader) -> FloatArray:
        data = self._bytes.read(reader)
        if len(data) % _WIDTH:
            raise DecodeError("an array has whole values", bytes=len(data))
        value = np.frombuffer(data, ">f4").astype(np.float32)
        if not np.isfinite(value).all() or np.signbit(value[value == 0]).any():
            raise DecodeError("the values of an array are finite, and zero has no sign", items=value.size)
        return value

    def encode(self, value: FloatArray) -> bytes:
        out = bytearray()
        self.write(out, value)
        return bytes(out)

    def decode(self, data: bytes) -> FloatArray:
        reader = Reader(bytes(data))
        value = self.read(reader)
        if reader.offset != reader.end:
            raise DecodeError("bytes follow the end of the value", trailing=reader.end - reader.offset)
        return value


F64: Final = Float64()
