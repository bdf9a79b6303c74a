"""Several messages in one frame: each behind its 32-bit length.

A frame of gRPC costs far more than the few hundred bytes of a vote, so a link sends whatever waits in one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.limits import FRAME_BYTES_MAX

__all__ = ["LENGTH_BYTES", "MESSAGES_PER_FRAME_MAX", "BrokenFrame", "pack_messages", "unpack_messages"]

LENGTH_BYTES: Final = 4
MESSAGES_PER_FRAME_MAX: Final = 1024


class BrokenFrame(InvalidInput):
    """A frame whose lengths do not add up."""


def pack_messages(messages: Iterable[bytes]) -> bytes:
    """The payload of one frame. The caller keeps to the limits."""
    return b"".join([part for message in messages for part in (len(message).to_bytes(LENGTH_BYTES, "big"), message)])


def unpack_messages(payload: bytes) -> list[bytes]:
    """The messages of a frame, at least one and none of them empty; raises `BrokenFrame`."""
    messages: list[bytes] = []
    offset, end = 0, len(payload)
    while offset < end:
        start = offset + LENGTH_BYTES
        size = int.from_bytes(payload[offset:start], "big")
        offset = start + size
        if start > end or size == 0 or size > FRAME_BYTES_MAX or offset > end:
            raise BrokenFrame("frame's lengths do not add up", size=size, frame_bytes=end)
        if len(messages) == MESSAGES_PER_FRAME_MAX:
            raise BrokenFrame("too many messages in a frame", most=MESSAGES_PER_FRAME_MAX)
        messages.append(payload[start:offset])
    if not messages:
        raise BrokenFrame("frame is empty")
    return messages
