"""Random valid bytes of any codec, from its own description: a new record is covered as soon as it has one."""

from __future__ import annotations

import importlib
import pkgutil
import random
from functools import cache
from typing import Any

import flockchain
from flockchain.primitives import codec as codecs
from flockchain.primitives.codec import EnumOf, FixedBytes, ListOf, OptionOf, Struct, Text, UnionOf, VarBytes

__all__ = ["build_value", "find_codecs"]

_WORDS = ("", "a", "layers.0.q", "ünïcödé", "\x00", "x" * 64)
_LIST_ITEMS_MAX = 4
_BYTES_MAX = 80


@cache
def find_codecs() -> dict[str, Any]:
    """Every record's and union's codec that a module of the chain names, by "<module>.<name>", each once."""
    found: dict[int, tuple[str, Any]] = {}
    for module in pkgutil.walk_packages(flockchain.__path__, "flockchain."):
        if module.name.startswith("flockchain.v1") or module.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, Struct | UnionOf | ListOf):
                found.setdefault(id(value), (f"{module.name.removeprefix('flockchain.')}.{name}", value))
    return dict(sorted(found.values(), key=lambda entry: entry[0]))


def build_value(rng: random.Random, codec: Any) -> Any:
    """A random value of a codec, often at the edges of its range."""
    if codec is codecs.BOOL:
        return rng.random() < 0.5
    if isinstance(codec, type(codecs.U8)):
        return _build_integer(rng, codec)
    if isinstance(codec, FixedBytes):
        return rng.choice((bytes(codec.size_bytes), rng.randbytes(codec.size_bytes)))
    if isinstance(codec, VarBytes):
        return rng.randbytes(rng.randint(0, min(_BYTES_MAX, codec.max_bytes)))
    if isinstance(codec, Text):
        return rng.choice(_WORDS)[: max(1, codec.max_bytes // 4)]
    if isinstance(codec, EnumOf):
        return rng.choice(codec.members)
    if isinstance(codec, ListOf):
        most = min(_LIST_ITEMS_MAX, codec.max_items)
        return tuple(build_value(rng, codec.item) for _ in range(rng.randint(0, most)))
    if isinstance(codec, OptionOf):
        return build_value(rng, codec.item) if rng.random() < 0.5 else None
    if isinstance(codec, UnionOf):
        return build_value(rng, rng.choice(tuple(codec.members.values())))
    if isinstance(codec, Struct):
        return codec.cls(**{name: build_value(rng, field) for name, field in codec.codecs.items()})
    raise AssertionError(f"a kind of codec that is new here: {type(codec).__name__}")


def _build_integer(rng: random.Random, codec: Any) -> int:
    bits = 8 * codec.size_bytes
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if codec.signed else (0, (1 << bits) - 1)
    edges = (least, most, 0, 1, most - 1, rng.randint(least, most), rng.randint(0, 5), rng.randint(0, 10**6))
    return min(most, max(least, rng.choice(edges)))
