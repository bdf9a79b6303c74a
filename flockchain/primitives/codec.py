"""The canonical encoding of everything that is hashed, signed or stored.

Fixed-width big-endian integers, 32-bit lengths, one-byte tags; no floats and no maps. There is
exactly one encoding of a value: `decode` refuses trailing bytes, out-of-range tags and lengths over
the bound (before it allocates), so re-encoding what was decoded gives the bytes received.

A codec is a small object with `write` and `read`. Records are frozen dataclasses described once:

    VOTE = struct(Vote, kind=U8, view=U64, signature=FixedBytes(96))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields as dataclass_fields
from enum import IntEnum
from typing import Any, Final, Generic, Protocol, TypeVar

from flockchain.primitives.errors import InvalidInput

__all__ = [
    "BOOL", "HASH", "I64", "U8", "U16", "U32", "U64", "U128", "Codec", "DecodeError", "EncodeError", "EnumOf",
    "FixedBytes", "ListOf", "OptionOf", "Reader", "Struct", "Text", "UnionOf", "VarBytes", "struct",
]  # fmt: skip

T = TypeVar("T")
E = TypeVar("E", bound=IntEnum)


class DecodeError(InvalidInput):
    """Bytes that are not a canonical encoding."""


class EncodeError(InvalidInput):
    """A value outside what its codec allows."""


class Reader:
    """A cursor over immutable bytes; every read is bounded by what is left."""

    __slots__ = ("data", "end", "offset")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0
        self.end = len(data)

    def take(self, count: int) -> bytes:
        start = self.offset
        stop = start + count
        if stop > self.end:
            raise DecodeError("bytes end too early", wanted=count, left=self.end - start)
        self.offset = stop
        return self.data[start:stop]


class Codec(Protocol[T]):
    """How one type of value is written and read."""

    def write(self, out: bytearray, value: T) -> None: ...

    def read(self, reader: Reader) -> T: ...

    def encode(self, value: T) -> bytes: ...

    def decode(self, data: bytes) -> T: ...


class _Base(Generic[T]):
    def write(self, out: bytearray, value: T) -> None:
        raise NotImplementedError

    def read(self, reader: Reader) -> T:
        raise NotImplementedError

    def encode(self, value: T) -> bytes:
        out = bytearray()
        self.write(out, value)
        return bytes(out)

    def decode(self, data: bytes) -> T:
        reader = Reader(bytes(data))
        value = self.read(reader)
        if reader.offset != reader.end:
            raise DecodeError("bytes follow the end of the value", trailing=reader.end - reader.offset)
        return value


class _Integer(_Base[int]):
    def __init__(self, size_bytes: int, *, signed: bool = False) -> None:
        self.size_bytes = size_bytes
        self.signed = signed

    def write(self, out: bytearray, value: int) -> None:
        try:
            out += value.to_bytes(self.size_bytes, "big", signed=self.signed)
        except (OverflowError, AttributeError) as error:
            raise EncodeError("integer out of range", value=value, bits=8 * self.size_bytes) from error

    def read(self, reader: Reader) -> int:
        return int.from_bytes(reader.take(self.size_bytes), "big", signed=self.signed)


class _Bool(_Base[bool]):
    def write(self, out: bytearray, value: bool) -> None:
        out.append(1 if value else 0)

    def read(self, reader: Reader) -> bool:
        byte = reader.take(1)[0]
        if byte > 1:
            raise DecodeError("a truth value is 0 or 1", byte=byte)
        return byte == 1


class FixedBytes(_Base[bytes]):
    """Exactly `size_bytes` bytes."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes

    def write(self, out: bytearray, value: bytes) -> None:
        if len(value) != self.size_bytes:
            raise EncodeError("wrong number of bytes", wanted=self.size_bytes, got=len(value))
        out += value

    def read(self, reader: Reader) -> bytes:
        return reader.take(self.size_bytes)


class VarBytes(_Base[bytes]):
    """At most `max_bytes` bytes behind a 32-bit length."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes

    def write(self, out: bytearray, value: bytes) -> None:
        if len(value) > self.max_bytes:
            raise EncodeError("too many bytes", most=self.max_bytes, got=len(value))
        out += len(value).to_bytes(4, "big")
        out += value

    def read(self, reader: Reader) -> bytes:
        return reader.take(_read_length(reader, self.max_bytes))


class Text(_Base[str]):
    """UTF-8 text of at most `max_bytes` encoded bytes."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._bytes = VarBytes(max_bytes)

    def write(self, out: bytearray, value: str) -> None:
        try:
            self._bytes.write(out, value.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise EncodeError("text is not valid Unicode") from error

    def read(self, reader: Reader) -> str:
        try:
            return self._bytes.read(reader).decode("utf-8")
        except UnicodeDecodeError as error:
            raise DecodeError("text is not valid UTF-8") from error


class EnumOf(_Base[E]):
    """A member of an `IntEnum` as one byte."""

    def __init__(self, enum: type[E]) -> None:
        self._by_value: dict[int, E] = {int(member): member for member in enum}
        self.name = enum.__name__
        self.members: tuple[E, ...] = tuple(enum)

    def write(self, out: bytearray, value: E) -> None:
        out.append(int(value))

    def read(self, reader: Reader) -> E:
        byte = reader.take(1)[0]
        member = self._by_value.get(byte)
        if member is None:
            raise DecodeError("unknown member of an enumeration", enumeration=self.name, byte=byte)
        return member


class ListOf(_Base[tuple[T, ...]]):
    """At most `max_items` items behind a 32-bit count; read back as a tuple."""

    def __init__(self, item: Codec[T], max_items: int) -> None:
        self.item = item
        self.max_items = max_items

    def write(self, out: bytearray, value: tuple[T, ...]) -> None:
        if len(value) > self.max_items:
            raise EncodeError("too many items", most=self.max_items, got=len(value))
        out += len(value).to_bytes(4, "big")
        write = self.item.write
        for item in value:
            write(out, item)

    def read(self, reader: Reader) -> tuple[T, ...]:
        count = _read_length(reader, self.max_items)
        read = self.item.read
        return tuple([read(reader) for _ in range(count)])


class OptionOf(_Base[T | None]):
    """One byte 0 for `None`, or 1 and the value."""

    def __init__(self, item: Codec[T]) -> None:
        self.item = item

    def write(self, out: bytearray, value: T | None) -> None:
        if value is None:
            out.append(0)
            return
        out.append(1)
        self.item.write(out, value)

    def read(self, reader: Reader) -> T | None:
        return self.item.read(reader) if BOOL.read(reader) else None


class Struct(_Base[T]):
    """The fields of a frozen dataclass, in the order of its definition."""

    def __init__(self, cls: Callable[..., T], codecs: Mapping[str, Codec[Any]]) -> None:
        names = [field.name for field in dataclass_fields(cls)]  # type: ignore[arg-type]
        if names != list(codecs):
            raise TypeError(f"codec of {cls} must name its fields in order: {names} != {list(codecs)}")
        self.cls = cls
        self.codecs = dict(codecs)
        self._writers = [(name, codec.write) for name, codec in codecs.items()]
        self._readers = [codec.read for codec in codecs.values()]

    @property
    def name(self) -> str:
        """The dataclass's name."""
        return str(getattr(self.cls, "__name__", "record"))

    def write(self, out: bytearray, value: T) -> None:
        for name, write in self._writers:
            write(out, getattr(value, name))

    def read(self, reader: Reader) -> T:
        return self.cls(*[read(reader) for read in self._readers])


class UnionOf(_Base[Any]):
    """One of several dataclasses behind a one-byte tag; tags are explicit and append-only."""

    def __init__(self, members: Mapping[int, Struct[Any]]) -> None:
        self._by_tag = dict(members)
        self._by_type = {codec.cls: (tag, codec) for tag, codec in members.items()}

    def write(self, out: bytearray, value: Any) -> None:
        entry = self._by_type.get(type(value))
        if entry is None:
            raise EncodeError("value is not a member of this union", type=type(value).__name__)
        tag, codec = entry
        out.append(tag)
        codec.write(out, value)

    def read(self, reader: Reader) -> Any:
        tag = reader.take(1)[0]
        codec = self._by_tag.get(tag)
        if codec is None:
            raise DecodeError("unknown tag of a union", tag=tag)
        return codec.read(reader)


def struct(cls: Callable[..., T], **codecs: Codec[Any]) -> Struct[T]:
    """The codec of dataclass `cls`: one codec per field, named in the order of the fields."""
    return Struct(cls, codecs)


def _read_length(reader: Reader, most: int) -> int:
    count = int.from_bytes(reader.take(4), "big")
    if count > most:
        raise DecodeError("length is over its limit", most=most, got=count)
    return count


U8: Final = _Integer(1)
U16: Final = _Integer(2)
U32: Final = _Integer(4)
U64: Final = _Integer(8)
U128: Final = _Integer(16)
I64: Final = _Integer(8, signed=True)
BOOL: Final = _Bool()
HASH: Final = FixedBytes(32)
