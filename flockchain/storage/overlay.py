"""Uncommitted state over something that can be read, with nested transactions that roll back.

The executive runs each block on an overlay of its parent, and each extrinsic in a transaction of that
overlay. One dictionary holds the changes and an undo log, kept only while a transaction is open, takes
them back: so reading costs one look-up however deep transactions nest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from flockchain.primitives.errors import InvariantBroken, invariant
from flockchain.primitives.limits import STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX
from flockchain.storage.key_index import KeyIndex

__all__ = ["Changes", "Overlay", "StateReader"]

Changes = dict[bytes, bytes | None]  # what a block puts (bytes) and deletes (None) in the flat state


class StateReader(Protocol):
    """State as a reader sees it: the archive's finalized state, or an overlay."""

    def get(self, key: bytes) -> bytes | None: ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]: ...


class _Untouched:
    """The type of `_UNTOUCHED`: this overlay says nothing of the key."""


_UNTOUCHED: Final = _Untouched()


class Overlay:
    """Changes over `base`, which must go on showing the same state while the overlay lives. No value is empty."""

    __slots__ = ("_base", "_changes", "_keys", "_marks", "_undo")

    def __init__(self, base: StateReader) -> None:
        self._base = base
        self._changes: Changes = {}
        self._keys = KeyIndex()
        self._undo: list[tuple[bytes, bytes | _Untouched | None]] = []
        self._marks: list[int] = []

    @property
    def changes(self) -> Changes:
        """A copy of all changes over the base, those of open transactions included."""
        return dict(self._changes)

    @property
    def depth(self) -> int:
        """How many transactions are open."""
        return len(self._marks)

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        value = self._changes.get(key, _UNTOUCHED)
        if isinstance(value, _Untouched):
            return self._base.get(key)
        return value

    def set(self, key: bytes, value: bytes) -> None:
        """Put a value: 1 byte to STATE_VALUE_BYTES_MAX, under a key of at most STATE_KEY_BYTES_MAX."""
        if not value or len(value) > STATE_VALUE_BYTES_MAX or not key or len(key) > STATE_KEY_BYTES_MAX:
            raise InvariantBroken("no state entry has this size", key=key, key_bytes=len(key), value_bytes=len(value))
        self._put(key, value)

    def delete(self, key: bytes) -> None:
        """Take a value away; deleting what is not there changes nothing."""
        self._put(key, None)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The entries under `prefix`, ascending, as they are now: later changes here do not disturb the scan."""
        changes = self._changes
        own = [(key, changes[key]) for key in self._keys.find(prefix) if key in changes]
        below = self._base.scan(prefix)
        return _merge(own, below) if own else below

    def begin(self) -> None:
        """Open a transaction; it ends with `commit` or `rollback`."""
        self._marks.append(len(self._undo))

    def commit(self) -> None:
        """Keep the changes of the innermost transaction."""
        invariant(bool(self._marks), "no transaction is open")
        self._marks.pop()
        if not self._marks:
            self._undo.clear()

    def rollback(self) -> None:
        """Take back the changes of the innermost transaction."""
        invariant(bool(self._marks), "no transaction is open")
        mark = self._marks.pop()
        undo, changes = self._undo, self._changes
        while len(undo) > mark:
            key, before = undo.pop()
            if isinstance(before, _Untouched):
                del changes[key]
            else:
                changes[key] = before

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit when the block ends, roll back when it raises."""
        self.begin()
        try:
            yield
        except BaseException:
            self.rollback()
            raise
        self.commit()

    def _put(self, key: bytes, value: bytes | None) -> None:
        changes = self._changes
        before = changes.get(key, _UNTOUCHED)
        if self._marks:
            self._undo.append((key, before))
        if before is _UNTOUCHED:
            self._keys.add(key)
        changes[key] = value


def _merge(
    own: list[tuple[bytes, bytes | None]], below: Iterator[tuple[bytes, bytes]]
) -> Iterator[tuple[bytes, bytes]]:
    """Both in ascending order; where both have a key, `own` wins, and None hides the key."""
    waiting = next(below, None)
    for key, value in own:
        while waiting is not None and waiting[0] < key:
            yield waiting
            waiting = next(below, None)
        if waiting is not None and waiting[0] == key:
            waiting = next(below, None)
        if value is not None:
            yield key, value
    if waiting is not None:
        yield waiting
        yield from below
