"""How many bytes a codec's longest value takes: so that what is longer need not be decoded to be refused."""

from __future__ import annotations

from typing import Any

from flockchain.primitives import codec
from flockchain.primitives.codec import Codec
from flockchain.primitives.errors import InvariantBroken

__all__ = ["compute_bytes_max"]

_LENGTH_BYTES = 4
_TAG_BYTES = 1
_INTEGERS = (codec.U8, codec.U16, codec.U32, codec.U64, codec.U128, codec.I64)


def compute_bytes_max(described: Codec[Any]) -> int:
    """The length of the longest encoding that `described` accepts."""
    for integer in _INTEGERS:
        if described is integer:
            return len(integer.encode(0))
    match described:
        case codec.FixedBytes():
            return described.size_bytes
        case codec.VarBytes() | codec.Text():
            return _LENGTH_BYTES + described.max_bytes
        case codec.ListOf():
            return _LENGTH_BYTES + described.max_items * compute_bytes_max(described.item)
        case codec.OptionOf():
            return _TAG_BYTES + compute_bytes_max(described.item)
        case codec.Struct():
            return sum(compute_bytes_max(field) for field in described.codecs.values())
        case codec.UnionOf():
            return _TAG_BYTES + max(compute_bytes_max(member) for member in described.members.values())
        case codec.EnumOf():
            return len(described.encode(described.members[0]))
    if described is codec.BOOL:
        return _TAG_BYTES
    raise InvariantBroken("a codec whose size nobody knows", codec=type(described).__name__)
