"""A store in memory, for the simulator and for tests: it forgets everything when the process ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from flockchain.primitives.errors import Fault
from flockchain.storage.key_index import KeyIndex

__all__ = ["MemoryStore"]

_DEAD_KEYS_MAX: Final = 1024  # deleted keys that the index may keep beside as many as there are values


class MemoryStore:
    """`Store` over a dictionary."""

    __slots__ = ("_closed", "_keys", "_values")

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._keys = KeyIndex()
        self._closed = False

    def get(self, key: bytes) -> bytes | None:
        self._require_open()
        return self._values.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        self._require_open()
        values = self._values
        return iter([(key, values[key]) for key in self._keys.find(prefix) if key in values])

    def freeze(self) -> MemoryStore:
        self._require_open()
        frozen = MemoryStore()
        frozen._values = dict(self._values)
        frozen._keys = KeyIndex(frozen._values)
        return frozen

    def write(self, puts: Mapping[bytes, bytes | None], *, sync: bool) -> None:
        self._require_open()
        if not all(isinstance(key, bytes) and isinstance(value, bytes | None) for key, value in puts.items()):
            raise TypeError("a store takes bytes only")
        values = self._values
        for key, value in puts.items():
            if value is None:
                values.pop(key, None)
                continue
            if key not in values:
                self._keys.add(key)
            values[key] = value
        if len(self._keys) > 2 * len(values) + _DEAD_KEYS_MAX:
            self._keys = KeyIndex(values)

    def close(self) -> None:
        self._closed = True

    def _require_open(self) -> None:
        if self._closed:
            raise Fault("the store is closed")
