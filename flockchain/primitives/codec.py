"""The canonical encoding of everything that is hashed, signed or stored.

Fixed-width big-endian integers, 32-bit lengths, one-byte tags; no floats and no maps. There is
exactly one encoding of a value: `decode` refuses trailing bytes, out-of-range tags and lengths over
the bound (before it allocates), so re-encoding what was decoded gives the bytes received.

A codec is a small object with `write` and `read`. Records are frozen dataclasses described once:

    VOTE = struct(Vote, kind=U8, view=U64, signature=FixedBytes(96))
"""

from __future__ import annotations

import struct as packing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields as dataclass_fields
from enum import IntEnum
from operator import attrgetter
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


class _Fixed(_Base[T]):
    """A value that always takes `size_bytes`. A record packs neighbours of this kind in one step (`_Run`):

    `pattern` is the value's code in `struct`'s language; `to_packed` and `from_packed` stand between the value and what
    that code takes and gives, None where it is the same.
    """

    size_bytes: int
    pattern: str
    to_packed: Callable[[Any], Any] | None = None
    from_packed: Callable[[Any], Any] | None = None


class _Integer(_Fixed[int]):
    def __init__(self, size_bytes: int, *, signed: bool = False) -> None:
        self.size_bytes = size_bytes
        self.signed = signed
        code = {1: "B", 2: "H", 4: "I", 8: "Q"}.get(size_bytes)
        if code is None:
            self.pattern = f"{size_bytes}s"
            self.to_packed, self.from_packed = self.encode, self._parse
        else:
            self.pattern = code.lower() if signed else code

    def write(self, out: bytearray, value: int) -> None:
        out += self.encode(value)

    def read(self, reader: Reader) -> int:
        return int.from_bytes(reader.take(self.size_bytes), "big", signed=self.signed)

    def encode(self, value: int) -> bytes:
        try:
            return value.to_bytes(self.size_bytes, "big", signed=self.signed)
        except (OverflowError, AttributeError) as error:
            raise EncodeError("integer out of range", value=value, bits=8 * self.size_bytes) from error

    def decode(self, data: bytes) -> int:
        if len(data) != self.size_bytes:
            raise DecodeError("an integer has its own size", wanted=self.size_bytes, got=len(data))
        return self._parse(data)

    def _parse(self, data: bytes) -> int:
        return int.from_bytes(data, "big", signed=self.signed)


class _Bool(_Fixed[bool]):
    size_bytes = 1
    pattern = "B"

    def write(self, out: bytearray, value: bool) -> None:
        out.append(self.to_packed(value))

    def read(self, reader: Reader) -> bool:
        return self.from_packed(reader.take(1)[0])

    def to_packed(self, value: bool) -> int:
        if not isinstance(value, bool):
            raise EncodeError("a truth value was expected", got=type(value).__name__)
        return int(value)

    def from_packed(self, byte: int) -> bool:
        if byte > 1:
            raise DecodeError("a truth value is 0 or 1", byte=byte)
        return byte == 1


class FixedBytes(_Fixed[bytes]):
    """Exactly `size_bytes` bytes."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.pattern = f"{size_bytes}s"

    def write(self, out: bytearray, value: bytes) -> None:
        out += self.to_packed(value)

    def read(self, reader: Reader) -> bytes:
        return reader.take(self.size_bytes)

    def encode(self, value: bytes) -> bytes:
        return bytes(self.to_packed(value))

    def decode(self, data: bytes) -> bytes:
        if len(data) != self.size_bytes:
            raise DecodeError("wrong number of bytes", wanted=self.size_bytes, got=len(data))
        return bytes(data)

    def to_packed(self, value: bytes) -> bytes:
        if len(value) != self.size_bytes:
            raise EncodeError("wrong number of bytes", wanted=self.size_bytes, got=len(value))
        return value


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
        start = reader.offset + 4
        count = int.from_bytes(reader.data[start - 4 : start], "big")
        stop = start + count
        if count > self.max_bytes or stop > reader.end:
            return reader.take(_read_length(reader, self.max_bytes))  # which says what is wrong
        reader.offset = stop
        return reader.data[start:stop]


class Text(_Base[str]):
    """UTF-8 text of at most `max_bytes` encoded bytes."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._bytes = VarBytes(max_bytes)

    def write(self, out: bytearray, value: str) -> None:
        if not isinstance(value, str):
            raise EncodeError("text was expected", got=type(value).__name__)
        try:
            self._bytes.write(out, value.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise EncodeError("text is not valid Unicode") from error

    def read(self, reader: Reader) -> str:
        try:
            return self._bytes.read(reader).decode("utf-8")
        except UnicodeDecodeError as error:
            raise DecodeError("text is not valid UTF-8") from error


class EnumOf(_Fixed[E]):
    """A member of an `IntEnum` as one byte."""

    size_bytes = 1
    pattern = "B"

    def __init__(self, enum: type[E]) -> None:
        self._by_value: dict[int, E] = {int(member): member for member in enum}
        self.name = enum.__name__
        self.members: tuple[E, ...] = tuple(enum)

    def write(self, out: bytearray, value: E) -> None:
        out.append(int(value))

    def read(self, reader: Reader) -> E:
        return self.from_packed(reader.take(1)[0])

    def from_packed(self, byte: int) -> E:
        member = self._by_value.get(byte)
        if member is None:
            raise DecodeError("unknown member of an enumeration", enumeration=self.name, byte=byte)
        return member


class ListOf(_Base[tuple[T, ...]]):
    """At most `max_items` items behind a 32-bit count; read back as a tuple. An item has at least one byte."""

    def __init__(self, item: Codec[T], max_items: int) -> None:
        self.item = item
        self.max_items = max_items

    def write(self, out: bytearray, value: tuple[T, ...]) -> None:
        if not isinstance(value, tuple | list):
            raise EncodeError("a list was expected", got=type(value).__name__)
        if len(value) > self.max_items:
            raise EncodeError("too many items", most=self.max_items, got=len(value))
        out += len(value).to_bytes(4, "big")
        write = self.item.write
        for item in value:
            write(out, item)

    def read(self, reader: Reader) -> tuple[T, ...]:
        count = _read_length(reader, self.max_items)
        if count > reader.end - reader.offset:  # an item has at least one byte
            raise DecodeError("a list counts more items than bytes are left", items=count)
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


class _Run:
    """Neighbouring fields of fixed size, read and written in one step."""

    def __init__(self, fields: Sequence[tuple[str, _Fixed[Any]]]) -> None:
        names = [name for name, _ in fields]
        self._codecs = [codec for _, codec in fields]
        self._packer = packing.Struct(">" + "".join(codec.pattern for codec in self._codecs))
        self._get = attrgetter(*names) if len(names) > 1 else None
        self._name = names[0]
        self._to_packed = [(at, codec.to_packed) for at, codec in enumerate(self._codecs) if codec.to_packed]
        self._from_packed = [(at, codec.from_packed) for at, codec in enumerate(self._codecs) if codec.from_packed]

    def write(self, out: bytearray, record: Any) -> None:
        values = list(self._get(record)) if self._get is not None else [getattr(record, self._name)]
        for at, to_packed in self._to_packed:
            values[at] = to_packed(values[at])
        try:
            out += self._packer.pack(*values)
        except packing.error as error:
            raise self._explain(values) from error

    def read(self, reader: Reader) -> Sequence[Any]:
        start = reader.offset
        stop = start + self._packer.size
        if stop > reader.end:
            raise DecodeError("bytes end too early", wanted=stop - start, left=reader.end - start)
        reader.offset = stop
        values = self._packer.unpack_from(reader.data, start)
        if not self._from_packed:
            return values
        converted = list(values)
        for at, from_packed in self._from_packed:
            converted[at] = from_packed(converted[at])
        return converted

    def _explain(self, values: Sequence[Any]) -> EncodeError:
        """Which of the values does not fit, in its own codec's words."""
        for codec, value in zip(self._codecs, values, strict=True):
            try:
                packing.pack(">" + codec.pattern, value)
            except packing.error:
                return EncodeError("value out of range", value=value, bits=8 * codec.size_bytes)
        return EncodeError("a record does not fit its codec", values=tuple(values))


class _Single:
    """A field of no fixed size, as a run of one."""

    def __init__(self, name: str, codec: Codec[Any]) -> None:
        self._name = name
        self._write = codec.write
        self._read = codec.read

    def write(self, out: bytearray, record: Any) -> None:
        self._write(out, getattr(record, self._name))

    def read(self, reader: Reader) -> Sequence[Any]:
        return (self._read(reader),)


class Struct(_Base[T]):
    """The fields of a frozen dataclass, in the order of its definition."""

    def __init__(self, cls: Callable[..., T], codecs: Mapping[str, Codec[Any]]) -> None:
        names = [field.name for field in dataclass_fields(cls)]  # type: ignore[arg-type]
        if names != list(codecs):
            raise TypeError(f"codec of {cls} must name its fields in order: {names} != {list(codecs)}")
        self.cls = cls
        self.codecs = dict(codecs)
        parts = tuple(_group(self.codecs))
        self._writers = [part.write for part in parts]
        self._readers = [part.read for part in parts]
        self._read_all = self._readers[0] if len(parts) == 1 else None

    @property
    def name(self) -> str:
        """The dataclass's name."""
        return str(getattr(self.cls, "__name__", "record"))

    def write(self, out: bytearray, value: T) -> None:
        for write in self._writers:
            write(out, value)

    def read(self, reader: Reader) -> T:
        if self._read_all is not None:
            return self.cls(*self._read_all(reader))
        values: list[Any] = []
        for read in self._readers:
            values += read(reader)
        return self.cls(*values)


def _group(codecs: Mapping[str, Codec[Any]]) -> Iterator[_Run | _Single]:
    """The fields in their order, neighbours of fixed size together."""
    run: list[tuple[str, _Fixed[Any]]] = []
    for name, codec in codecs.items():
        if isinstance(codec, _Fixed):
            run.append((name, codec))
            continue
        if run:
            yield _Run(run)
            run = []
        yield _Single(name, codec)
    if run:
        yield _Run(run)


class UnionOf(_Base[Any]):
    """One of several dataclasses behind a one-byte tag; tags are explicit and append-only."""

    def __init__(self, members: Mapping[int, Struct[Any]]) -> None:
        self._by_tag = dict(members)
        self._by_type = {codec.cls: (tag, codec) for tag, codec in members.items()}

    @property
    def members(self) -> Mapping[int, Struct[Any]]:
        """The member codecs by tag."""
        return self._by_tag

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
