"""The longest encoding of a codec, compared with what it really encodes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flockchain.primitives import codec
from flockchain.primitives.sizes import compute_bytes_max


class Colour(IntEnum):
    RED = 0


@dataclass(frozen=True, slots=True)
class Short:
    flag: bool


@dataclass(frozen=True, slots=True)
class Long:
    number: int
    name: str
    parts: tuple[bytes, ...]
    maybe: int | None


SHORT = codec.struct(Short, flag=codec.BOOL)
LONG = codec.struct(
    Long,
    number=codec.U128,
    name=codec.Text(5),
    parts=codec.ListOf(codec.VarBytes(3), 2),
    maybe=codec.OptionOf(codec.U64),
)


@pytest.mark.parametrize(
    ("described", "longest"),
    [
        (codec.U8, 255), (codec.U16, 1), (codec.U32, 1), (codec.U64, 1), (codec.U128, 1), (codec.I64, -1),
        (codec.BOOL, True), (codec.HASH, bytes(32)), (codec.FixedBytes(7), bytes(7)), (codec.VarBytes(9), bytes(9)),
        (codec.Text(4), "abcd"), (codec.EnumOf(Colour), Colour.RED), (codec.ListOf(codec.U16, 3), (1, 2, 3)),
        (codec.OptionOf(codec.U32), 1), (LONG, Long(1, "abcde", (b"abc", b"def"), 1)),
        (codec.UnionOf({0: SHORT, 1: LONG}), Long(1, "abcde", (b"abc", b"def"), 1)),
    ],
)  # fmt: skip
def test_the_longest_value_takes_exactly_so_many_bytes(described, longest):
    assert len(described.encode(longest)) == compute_bytes_max(described)


@given(
    st.builds(
        Long, st.integers(0, 2**128 - 1), st.text("ab", max_size=5),
        st.lists(st.binary(max_size=3), max_size=2).map(tuple), st.none() | st.integers(0, 2**64 - 1),
    )
)  # fmt: skip
def test_no_value_takes_more(value):
    assert len(LONG.encode(value)) <= compute_bytes_max(LONG)
