"""Random and mutated requests for any method of any gRPC service, from the service's own descriptor.

Values are drawn among edges, and among words that the caller knows to be good ones (hashes, heights, encodings), so
that requests get past the first checks. A new method or field is covered by being in the descriptor.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.fuzz.mutators import mutate

__all__ = ["Vocabulary", "build_request", "build_request_bytes", "find_methods"]

_INTEGERS = {
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1), FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1), FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SINT32: (-(2**31), 2**31 - 1), FieldDescriptor.TYPE_SINT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_FIXED32: (0, 2**32 - 1), FieldDescriptor.TYPE_FIXED64: (0, 2**64 - 1),
}  # fmt: skip
_TEXTS = ("", "local", "x", "\x00", "ünïcödé", "a" * 300)
_ITEMS_MAX = 4
_LEVELS_MAX = 4


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a request may hold that the server knows."""

    integers: Sequence[int]
    words: Sequence[bytes]


def find_methods(service: ServiceDescriptor) -> list[MethodDescriptor]:
    """The service's methods, in their order."""
    return list(service.methods)


def build_request(rng: random.Random, method: MethodDescriptor, vocabulary: Vocabulary) -> Message:
    """A random request of a method."""
    return _fill(rng, GetMessageClass(method.input_type)(), vocabulary, _LEVELS_MAX)


def build_request_bytes(rng: random.Random, method: MethodDescriptor, vocabulary: Vocabulary) -> bytes:
    """A random request's bytes, in half of the cases mutated, so perhaps no message at all."""
    data = build_request(rng, method, vocabulary).SerializeToString()
    return mutate(rng, (data,)) if rng.random() < 0.5 else data


def _fill(rng: random.Random, message: Any, vocabulary: Vocabulary, levels: int) -> Any:
    for field in message.DESCRIPTOR.fields:
        if rng.random() < 0.25 or (field.message_type is not None and levels == 0):
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            getattr(message, field.name)["key"] = "value"
        elif field.is_repeated:
            for _ in range(rng.choice((1, 1, 2, _ITEMS_MAX))):
                _append(rng, getattr(message, field.name), field, vocabulary, levels)
        elif field.message_type is not None:
            getattr(message, field.name).SetInParent()
            _fill(rng, getattr(message, field.name), vocabulary, levels - 1)
        else:
            setattr(message, field.name, _draw(rng, field, vocabulary))
    return message


def _append(rng: random.Random, values: Any, field: FieldDescriptor, vocabulary: Vocabulary, levels: int) -> None:
    if field.message_type is not None:
        _fill(rng, values.add(), vocabulary, levels - 1)
    else:
        values.append(_draw(rng, field, vocabulary))


def _draw(rng: random.Random, field: FieldDescriptor, vocabulary: Vocabulary) -> Any:
    if field.type in _INTEGERS:
        least, most = _INTEGERS[field.type]
        drawn = rng.choice((least, most, 0, 1, rng.randint(least, most), *vocabulary.integers, *vocabulary.integers))
        return min(most, max(least, drawn))
    if field.type == FieldDescriptor.TYPE_BOOL:
        return rng.random() < 0.5
    if field.type == FieldDescriptor.TYPE_ENUM:
        return rng.choice((0, 1, 2, 3, 99, -1))
    if field.type == FieldDescriptor.TYPE_STRING:
        return rng.choice(_TEXTS)
    if field.type == FieldDescriptor.TYPE_BYTES:
        word = rng.choice((b"", bytes(32), rng.randbytes(rng.randint(1, 64)), *vocabulary.words, *vocabulary.words))
        return mutate(rng, (word,)) if word and rng.random() < 0.3 else word
    return 0.5
