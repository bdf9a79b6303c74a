"""What a store is: an ordered map of bytes with atomic batches. Knows nothing of blocks or state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

__all__ = ["FrozenStore", "Store"]


class FrozenStore(Protocol):
    """A store as it was at one moment, whatever is written since. Any thread may read it, one at a time."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The entries whose keys begin with `prefix`, ascending."""
        ...

    def close(self) -> None:
        """Let go of it; a second call does nothing."""
        ...


class Store(Protocol):
    """An ordered map of bytes. One writer; failures of the medium are `Fault`s."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The entries whose keys begin with `prefix`, ascending, as they were when `scan` was called."""
        ...

    def freeze(self) -> FrozenStore:
        """The store as it is now, for as long as it is wanted. Copies nothing on disk; close it before the store."""
        ...

    def write(self, puts: Mapping[bytes, bytes | None], *, sync: bool) -> None:
        """Put (or delete, where the value is None) all or nothing; with `sync`, durable on return."""
        ...

    def close(self) -> None:
        """Release the medium; a second call does nothing, any other use afterwards is a `Fault`."""
        ...
