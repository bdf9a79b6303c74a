"""The finalized state as key and value, read from a store through a bounded cache.

What was read while a block ran is what its undo record asks for, so the cache saves most of the
second read. It follows every write and never holds what the store does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from flockchain.primitives.limits import KIB
from flockchain.storage.store import Store

__all__ = ["STATE_PREFIX", "FlatState"]

STATE_PREFIX: Final = b"s"
_ENTRIES_CACHED: Final = 65_536
_VALUE_BYTES_CACHED: Final = 4 * KIB


class FlatState:
    """`StateReader` of the last committed block."""

    __slots__ = ("_cache", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        cache = self._cache
        if key in cache:
            return cache[key]
        value = self._store.get(STATE_PREFIX + key)
        self._remember(key, value)
        return value

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The entries under `prefix`, ascending."""
        entries = self._store.scan(STATE_PREFIX + prefix)
        return ((key[1:], value) for key, value in entries)

    def forget(self) -> None:
        """The store has changed by other hands."""
        self._cache.clear()

    def on_written(self, changes: Mapping[bytes, bytes | None]) -> None:
        """The store has taken these changes."""
        for key, value in changes.items():
            self._remember(key, value)

    def _remember(self, key: bytes, value: bytes | None) -> None:
        cache = self._cache
        if value is not None and len(value) > _VALUE_BYTES_CACHED:
            cache.pop(key, None)
            return
        if len(cache) >= _ENTRIES_CACHED and key not in cache:
            del cache[next(iter(cache))]
        cache[key] = value
