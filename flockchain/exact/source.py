"""The bytes of one adapter file, wherever they lie: in memory, or in a file that is too large for it.

It knows positions and bytes; not what they mean, and no disk: a host that reads files brings its own sources.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["BytesSource", "Source"]


class Source(Protocol):
    """Bytes that do not change while they are read."""

    @property
    def size_bytes(self) -> int: ...

    def view(self, start: int, size_bytes: int) -> memoryview:
        """Exactly these bytes, all inside the file. They are good until the next view of any source."""
        ...


class BytesSource:
    """A file that is in memory as a whole. Its views are no copies."""

    __slots__ = ("_view",)

    def __init__(self, data: bytes) -> None:
        self._view = memoryview(data)

    @property
    def size_bytes(self) -> int:
        return len(self._view)

    def view(self, start: int, size_bytes: int) -> memoryview:
        """These bytes."""
        return self._view[start : start + size_bytes]
