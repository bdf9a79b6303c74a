"""The canonical codec: one encoding per value, and every other string of bytes is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flockchain.primitives.block import BLOCK
from flockchain.primitives.codec import (
    BOOL,
    I64,
    U8,
    U16,
    U32,
    U64,
    U128,
    DecodeError,
    EncodeError,
    EnumOf,
    FixedBytes,
    ListOf,
    OptionOf,
    Text,
    UnionOf,
    VarBytes,
    struct,
)  # fmt: skip
from flockchain.primitives.evidence import EVIDENCE
from flockchain.primitives.extrinsic import SIGNED_EXTRINSIC
from flockchain.primitives.learning import LEARNING_ITEM, TASK_SPEC
from flockchain.primitives.validator_set import VALIDATOR_SET
from flockchain.primitives.vote import CERTIFICATE, PROPOSAL, VOTE


class Colour(IntEnum):
    RED = 0
    BLUE = 2


@dataclass(frozen=True)
class Small:
    kind: Colour
    name: str
    items: tuple[int, ...]
    maybe: bytes | None


SMALL = struct(Small, kind=EnumOf(Colour), name=Text(12), items=ListOf(U16, 4), maybe=OptionOf(VarBytes(3)))
smalls = st.builds(
    Small,
    kind=st.sampled_from(Colour),
    name=st.text(max_size=3),
    items=st.lists(st.integers(0, 65535), max_size=4).map(tuple),
    maybe=st.none() | st.binary(max_size=3),
)


@given(smalls)
def test_decode_gives_back_what_was_encoded(value: Small) -> None:
    assert SMALL.decode(SMALL.encode(value)) == value


@given(st.binary(max_size=40))
def test_whatever_decodes_encodes_to_the_same_bytes(data: bytes) -> None:
    try:
        value = SMALL.decode(data)
    except DecodeError:
        return
    assert SMALL.encode(value) == data


@pytest.mark.parametrize(
    "codec", [BLOCK, VOTE, CERTIFICATE, PROPOSAL, EVIDENCE, SIGNED_EXTRINSIC, LEARNING_ITEM, TASK_SPEC, VALIDATOR_SET]
)
@given(data=st.binary(max_size=600))
def test_every_record_refuses_noise_with_a_typed_error_or_round_trips(codec, data: bytes) -> None:  # type: ignore[no-untyped-def]
    try:
        value = codec.decode(data)
    except DecodeError:
        return
    assert codec.encode(value) == data


@given(smalls, st.binary(min_size=1, max_size=3))
def test_trailing_bytes_are_refused(value: Small, tail: bytes) -> None:
    with pytest.raises(DecodeError, match="follow the end"):
        SMALL.decode(SMALL.encode(value) + tail)


@given(smalls, st.data())
def test_truncated_bytes_are_refused(value: Small, data: st.DataObject) -> None:
    encoded = SMALL.encode(value)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(DecodeError):
        SMALL.decode(encoded[:cut])


def test_a_length_over_its_bound_is_refused_before_anything_is_allocated() -> None:
    with pytest.raises(DecodeError, match="over its limit"):
        VarBytes(8).decode((2**31).to_bytes(4, "big"))
    with pytest.raises(DecodeError, match="over its limit"):
        ListOf(U8, 3).decode((4).to_bytes(4, "big") + bytes(4))


@pytest.mark.parametrize(
    ("codec", "value"),
    [(U8, 256), (U16, -1), (U32, 2**32), (U64, 2**64), (U128, 2**128), (I64, 2**63), (FixedBytes(2), b"a"),
     (VarBytes(1), b"ab"), (Text(2), "abc"), (Text(8), "\ud800"), (ListOf(U8, 1), (1, 2))],
)  # fmt: skip
def test_a_value_out_of_range_is_refused_with_a_typed_error(codec, value) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(EncodeError):
        codec.encode(value)


def test_tags_truth_values_and_text_have_one_form() -> None:
    for codec, data in [(BOOL, b"\x02"), (EnumOf(Colour), b"\x01"), (Text(4), b"\0\0\0\x01\xff")]:
        with pytest.raises(DecodeError):
            codec.decode(data)
    with pytest.raises(DecodeError, match="unknown tag"):
        UnionOf({0: SMALL}).decode(b"\x07")
    with pytest.raises(EncodeError, match="not a member"):
        UnionOf({0: SMALL}).encode(3)


def test_a_struct_must_name_its_fields_in_order() -> None:
    with pytest.raises(TypeError, match="in order"):
        struct(Small, name=Text(1), kind=EnumOf(Colour), items=ListOf(U8, 1), maybe=OptionOf(U8))


@dataclass(frozen=True, slots=True)
class _Packed:
    """Every kind of fixed size, beside one that is not."""

    small: int
    kind: Colour
    is_set: bool
    digest: bytes
    large: int
    name: bytes
    signed: int


_PACKED = struct(
    _Packed, small=U16, kind=EnumOf(Colour), is_set=BOOL, digest=FixedBytes(3), large=U128, name=VarBytes(4), signed=I64
)
_VALUE = _Packed(258, Colour.BLUE, True, b"abc", 2**100, b"xy", -2)


def test_neighbours_of_fixed_size_are_written_as_each_alone_would_be():
    parts = [
        U16.encode(258), bytes([2]), bytes([1]), b"abc", U128.encode(2**100), VarBytes(4).encode(b"xy"), I64.encode(-2),
    ]  # fmt: skip
    assert _PACKED.encode(_VALUE) == b"".join(parts)
    decoded = _PACKED.decode(_PACKED.encode(_VALUE))
    assert decoded == _VALUE
    assert decoded.is_set is True
    assert decoded.kind is Colour.BLUE


@pytest.mark.parametrize(
    "broken",
    [{"small": 2**16}, {"small": -1}, {"small": 1.0}, {"digest": b"ab"}, {"digest": b"abcd"}, {"large": 2**128},
     {"signed": 2**63}, {"name": b"abcde"}],
)  # fmt: skip
def test_a_neighbour_that_does_not_fit_is_refused(broken):
    with pytest.raises(EncodeError):
        _PACKED.encode(replace(_VALUE, **broken))


def test_cut_off_neighbours_and_unknown_members_are_refused():
    whole = _PACKED.encode(_VALUE)
    for length in range(len(whole)):
        with pytest.raises(DecodeError):
            _PACKED.decode(whole[:length])
    for at, byte in ((2, 1), (3, 2)):  # no such colour, no such truth
        with pytest.raises(DecodeError):
            _PACKED.decode(whole[:at] + bytes([byte]) + whole[at + 1 :])
