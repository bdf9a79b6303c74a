"""Keys in ascending order, for prefix scans over a dictionary that holds the values.

Adding is an append; sorting waits for the next scan, so writers that nobody scans pay almost nothing.
Keys are only ever added: the dictionary decides which of them still have a value.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Final

__all__ = ["KeyIndex"]


_INSERTS_PER_SORT: Final = 64  # inserting one key into a list of this many costs about as much as its share of a sort


class KeyIndex:
    """An append-mostly set of byte strings that finds those with a prefix."""

    __slots__ = ("_fresh", "_sorted")

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._sorted: list[bytes] = sorted(keys)
        self._fresh: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._sorted) + len(self._fresh)

    def add(self, key: bytes) -> None:
        """Remember `key`; adding it again is harmless."""
        self._fresh.add(key)

    def find(self, prefix: bytes) -> list[bytes]:
        """The keys that begin with `prefix`, ascending, each once."""
        if self._fresh:
            self._merge()
        keys = self._sorted
        start = bisect_left(keys, prefix)
        end = _find_end(keys, prefix, start)
        return keys[start:end]

    def _merge(self) -> None:
        keys = self._sorted
        fresh = [key for key in self._fresh if not _has(keys, key)]
        self._fresh = set()
        if len(fresh) * _INSERTS_PER_SORT < len(keys):
            for key in fresh:
                insort(keys, key)
        else:
            keys.extend(fresh)
            keys.sort()


def _has(keys: list[bytes], key: bytes) -> bool:
    at = bisect_left(keys, key)
    return at < len(keys) and keys[at] == key


def _find_end(keys: list[bytes], prefix: bytes, start: int) -> int:
    """The first index from `start` whose key does not begin with `prefix`."""
    stem = prefix.rstrip(b"\xff")
    if not stem:
        return len(keys)
    return bisect_left(keys, stem[:-1] + bytes([stem[-1] + 1]), start)
