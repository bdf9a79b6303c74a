"""Codecs as text and back, so that the API can tell any client how a call's arguments are encoded.

The language, as small as the codecs:

    u8 u16 u32 u64 u128 i64 bool            integers (big-endian) and truth values
    bytes[32]  bytes<64>  text<64>          exactly, at most, at most so many bytes
    list<u64, 16>  option<u64>              at most 16 items; a value or none
    enum Phase{SUBMIT=0, COMMIT=1}          one byte
    struct Vote{kind: u8, view: u64}        the fields in order

A parsed codec reads records as dicts and writes dicts or objects with those attributes. For people, bytes may be
given as hex, enumeration members by name, integers as decimal text. Knows the codecs of `codec.py` only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import IntEnum
from typing import Any, Final

from flockchain.primitives import codec
from flockchain.primitives.codec import Codec, DecodeError, EncodeError, Reader

__all__ = ["Schema", "SchemaError", "describe_codec", "parse_schema", "to_plain"]


class SchemaError(DecodeError):
    """Text that describes no codec."""


class Schema:
    """A codec made from text: the same bytes as the codec that the text describes."""

    def __init__(self, text: str, inner: Codec[Any]) -> None:
        self.text = text
        self.inner = inner

    def write(self, out: bytearray, value: Any) -> None:
        self.inner.write(out, value)

    def read(self, reader: Reader) -> Any:
        return self.inner.read(reader)

    def encode(self, value: Any) -> bytes:
        out = bytearray()
        self.inner.write(out, value)
        return bytes(out)

    def decode(self, data: bytes) -> Any:
        return self.inner.decode(data)


_INTEGERS: Final[dict[str, Codec[int]]] = {
    "u8": codec.U8, "u16": codec.U16, "u32": codec.U32, "u64": codec.U64, "u128": codec.U128, "i64": codec.I64,
}  # fmt: skip


def describe_codec(described: Codec[Any]) -> str:
    """The text of a codec. Raises `SchemaError` for one that the language does not have."""
    for name, integer in _INTEGERS.items():
        if described is integer:
            return name
    if described is codec.BOOL:
        return "bool"
    match described:
        case codec.FixedBytes():
            return f"bytes[{described.size_bytes}]"
        case codec.VarBytes():
            return f"bytes<{described.max_bytes}>"
        case codec.Text():
            return f"text<{described.max_bytes}>"
        case codec.EnumOf():
            return f"enum {described.name}{{{', '.join(f'{m.name}={int(m)}' for m in described.members)}}}"
        case codec.ListOf():
            return f"list<{describe_codec(described.item)}, {described.max_items}>"
        case codec.OptionOf():
            return f"option<{describe_codec(described.item)}>"
        case codec.Struct():
            fields = ", ".join(f"{name}: {describe_codec(field)}" for name, field in described.codecs.items())
            return f"struct {described.name}{{{fields}}}"
    raise SchemaError("a codec that the schema language does not have", codec=type(described).__name__)


def to_plain(value: Any) -> Any:
    """A decoded value as JSON allows it: bytes as hex, members by name, integers beyond 53 bits as decimal text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, IntEnum):
        return value.name
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < 2**53 else str(int(value))
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    return [to_plain(item) for item in value]


def parse_schema(text: str) -> Schema:
    """The codec that `text` describes. Raises `SchemaError`."""
    parser = _Parser(text)
    parsed = parser.parse(_DEPTH_MAX)
    parser.require_end()
    return Schema(text, parsed)


_DEPTH_MAX: Final = 16
_TOKEN: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[<>\[\]{}:,=])")


class _Parser:
    """Recursive descent over the tokens; every level and every number is bounded."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.offset = 0

    def parse(self, depth: int) -> Codec[Any]:
        if depth == 0:
            raise SchemaError("types are nested too deeply", most=_DEPTH_MAX)
        word = self.take()
        if word in _INTEGERS:
            return _ReadableInteger(_INTEGERS[word])
        match word:
            case "bool":
                return codec.BOOL
            case "bytes":
                return self._parse_bytes(depth)
            case "text":
                return codec.Text(self._parse_bound())
            case "list":
                return self._parse_list(depth)
            case "option":
                self.expect("<")
                item = self.parse(depth - 1)
                self.expect(">")
                return codec.OptionOf(item)
            case "enum":
                return self._parse_enum()
            case "struct":
                return self._parse_struct(depth)
        raise SchemaError("unknown type", word=word, at=self.offset)

    def take(self) -> str:
        match = _TOKEN.match(self.text, self.offset)
        if match is None:
            raise SchemaError("the text of a type ends or breaks off", at=self.offset)
        self.offset = match.end()
        return match.group(1)

    def expect(self, token: str) -> None:
        got = self.take()
        if got != token:
            raise SchemaError("another sign was expected in the text of a type", wanted=token, got=got)

    def take_number(self) -> int:
        word = self.take()
        if not word.isdigit() or len(word) > 12:
            raise SchemaError("a number was expected in the text of a type", got=word)
        return int(word)

    def require_end(self) -> None:
        if self.text[self.offset :].strip():
            raise SchemaError("text follows the end of a type", at=self.offset)

    def _parse_bound(self) -> int:
        self.expect("<")
        bound = self.take_number()
        self.expect(">")
        return bound

    def _require_width(self, parts: int, depth: int) -> None:
        """A list of a million values without bytes would be free to announce and costly to read."""
        if parts == 0 and depth < _DEPTH_MAX - 1:
            raise SchemaError("a nested type has at least one byte", at=self.offset)

    def _parse_bytes(self, depth: int) -> Codec[bytes]:
        opening = self.take()
        size_bytes = self.take_number()
        if opening == "[":
            self.expect("]")
            self._require_width(size_bytes, depth)
            return _ReadableBytes(codec.FixedBytes(size_bytes))
        if opening != "<":
            raise SchemaError("bytes are [exactly] or <at most> so many", got=opening)
        self.expect(">")
        return _ReadableBytes(codec.VarBytes(size_bytes))

    def _parse_list(self, depth: int) -> Codec[Any]:
        self.expect("<")
        item = self.parse(depth - 1)
        self.expect(",")
        max_items = self.take_number()
        self.expect(">")
        return codec.ListOf(item, max_items)

    def _parse_enum(self) -> Codec[Any]:
        name = self.take()
        members: dict[str, int] = {}
        for member in self._parse_members():
            self.expect("=")
            members[member] = self.take_number()
        return _NamedEnum(name, members)

    def _parse_struct(self, depth: int) -> Codec[Any]:
        name = self.take()
        fields: dict[str, Codec[Any]] = {}
        for field in self._parse_members():
            self.expect(":")
            fields[field] = self.parse(depth - 1)
        self._require_width(len(fields), depth)
        return _Record(name, fields)

    def _parse_members(self) -> Iterator[str]:
        """The names between braces; the caller takes what follows each name."""
        self.expect("{")
        word = self.take()
        while word != "}":
            yield word
            separator = self.take()
            if separator == "}":
                return
            if separator != ",":
                raise SchemaError("members are separated by commas", got=separator)
            word = self.take()


class _ReadableInteger:
    """An integer that may be written as decimal text."""

    def __init__(self, inner: Codec[int]) -> None:
        self.inner = inner
        self.read = inner.read
        self.decode = inner.decode

    def write(self, out: bytearray, value: Any) -> None:
        if isinstance(value, str):
            try:
                value = int(value, 10)
            except ValueError as error:
                raise EncodeError("text is not a decimal integer", text=value) from error
        if not isinstance(value, int) or isinstance(value, bool):
            raise EncodeError("an integer was expected", got=type(value).__name__)
        self.inner.write(out, int(value))

    def encode(self, value: Any) -> bytes:
        return _encode(self, value)


class _ReadableBytes:
    """Bytes that may be written as hex."""

    def __init__(self, inner: Codec[bytes]) -> None:
        self.inner = inner
        self.read = inner.read
        self.decode = inner.decode

    def write(self, out: bytearray, value: Any) -> None:
        if isinstance(value, str):
            try:
                value = bytes.fromhex(value)
            except ValueError as error:
                raise EncodeError("text is not hex", text=value[:80]) from error
        if not isinstance(value, bytes):
            raise EncodeError("bytes were expected", got=type(value).__name__)
        self.inner.write(out, value)

    def encode(self, value: Any) -> bytes:
        return _encode(self, value)


class _NamedEnum:
    """A member of an enumeration by name; read back as its name."""

    def __init__(self, name: str, members: Mapping[str, int]) -> None:
        self.name = name
        self._numbers = dict(members)
        self._names = {number: member for member, number in members.items()}

    def write(self, out: bytearray, value: Any) -> None:
        number = self._numbers.get(value.upper()) if isinstance(value, str) else value
        if not isinstance(number, int) or isinstance(number, bool) or number not in self._names:
            raise EncodeError("no such member of the enumeration", enumeration=self.name, got=value)
        codec.U8.write(out, int(number))

    def read(self, reader: Reader) -> str:
        number = codec.U8.read(reader)
        if number not in self._names:
            raise DecodeError("unknown member of an enumeration", enumeration=self.name, byte=number)
        return self._names[number]

    def encode(self, value: Any) -> bytes:
        return _encode(self, value)

    def decode(self, data: bytes) -> Any:
        return _decode(self, data)


class _Record:
    """The fields of a record in order, from a mapping or an object; read back as a dict."""

    def __init__(self, name: str, fields: Mapping[str, Codec[Any]]) -> None:
        self.name = name
        self.fields = dict(fields)

    def write(self, out: bytearray, value: Any) -> None:
        if isinstance(value, Mapping):
            unknown = sorted(set(value) - set(self.fields))
            missing = [field for field in self.fields if field not in value]
            if unknown or missing:
                raise EncodeError("fields do not match", record=self.name, missing=missing, unknown=unknown)
            values = [value[field] for field in self.fields]
        else:
            try:
                values = [getattr(value, field) for field in self.fields]
            except AttributeError as error:
                raise EncodeError("value lacks a field", record=self.name, got=type(value).__name__) from error
        for field_codec, item in zip(self.fields.values(), values, strict=True):
            field_codec.write(out, item)

    def read(self, reader: Reader) -> dict[str, Any]:
        return {field: field_codec.read(reader) for field, field_codec in self.fields.items()}

    def encode(self, value: Any) -> bytes:
        return _encode(self, value)

    def decode(self, data: bytes) -> Any:
        return _decode(self, data)


def _encode(part: Any, value: Any) -> bytes:
    out = bytearray()
    part.write(out, value)
    return bytes(out)


def _decode(part: Any, data: bytes) -> Any:
    reader = Reader(bytes(data))
    value = part.read(reader)
    if reader.offset != reader.end:
        raise DecodeError("bytes follow the end of the value", trailing=reader.end - reader.offset)
    return value
