"""What waits to be sent to one peer: a bounded queue for each channel, with the channel's answer to a full one.

Knows the table of `rate_limits`. Sends nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from flockchain.gossip.messages import MessageKind, compute_message_kind
from flockchain.node.rate_limits import CHANNELS, KIND_RULES, Channel, KindRule, WhenFull
from flockchain.primitives.errors import invariant

__all__ = ["OutgoingQueues", "Queued"]


class Queued(Enum):
    """What became of a message that was handed in."""

    TAKEN = auto()
    OLDEST_DROPPED = auto()  # it waits, and others do not any more
    REFUSED = auto()
    CUT = auto()  # it must not be lost, so the link must end


class _Queue:
    __slots__ = ("channel", "messages", "size_bytes")

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.messages: deque[bytes] = deque()
        self.size_bytes = 0

    def has_room(self, size_bytes: int) -> bool:
        return len(self.messages) < self.channel.messages_max and self.size_bytes + size_bytes <= self.channel.bytes_max

    def push(self, message: bytes) -> None:
        self.messages.append(message)
        self.size_bytes += len(message)

    def pop(self) -> bytes:
        message = self.messages.popleft()
        self.size_bytes -= len(message)
        return message


class OutgoingQueues:
    """The queues of one link. The first channel goes before the others; those take turns, a frame each."""

    def __init__(
        self, channels: tuple[Channel, ...] = CHANNELS, kind_rules: Mapping[MessageKind, KindRule] = KIND_RULES
    ) -> None:
        self._queues: Final = {channel.name: _Queue(channel) for channel in channels}
        self._channel_of: Final = {kind: rule.channel.name for kind, rule in kind_rules.items()}
        self._turns: Final = deque(channel.name for channel in channels[1:])
        self._first: Final = channels[0].name
        self.dropped: Final = {channel.name: 0 for channel in channels}

    @property
    def count(self) -> int:
        """How many messages wait."""
        return sum(len(queue.messages) for queue in self._queues.values())

    @property
    def size_bytes(self) -> int:
        """How many bytes wait."""
        return sum(queue.size_bytes for queue in self._queues.values())

    def push(self, message: bytes) -> Queued:
        """Queue an encoded message, as its channel's policy has it. It fits an empty queue: ours to see to."""
        queue = self._queues[self._channel_of[compute_message_kind(message)]]
        channel = queue.channel
        invariant(len(message) <= channel.bytes_max, "a message fits its channel's queue", bytes=len(message))
        if queue.has_room(len(message)):
            queue.push(message)
            return Queued.TAKEN
        if channel.when_full is WhenFull.CUT_LINK:
            return Queued.CUT
        if channel.when_full is WhenFull.REFUSE:
            self.dropped[channel.name] += 1
            return Queued.REFUSED
        while not queue.has_room(len(message)):
            queue.pop()
            self.dropped[channel.name] += 1
        queue.push(message)
        return Queued.OLDEST_DROPPED

    def take(self, messages_max: int, bytes_max: int) -> list[bytes]:
        """The messages of the next frame: as many as fit, but one at least; empty when nothing waits."""
        batch: list[bytes] = []
        size_bytes = 0
        for name in (self._first, *self._turns):
            queue = self._queues[name]
            while queue.messages and len(batch) < messages_max:
                if batch and size_bytes + len(queue.messages[0]) > bytes_max:
                    break
                message = queue.pop()
                batch.append(message)
                size_bytes += len(message)
        self._turns.rotate(-1)
        return batch

    def clear(self) -> None:
        """Forget everything that waits."""
        for queue in self._queues.values():
            queue.messages.clear()
            queue.size_bytes = 0
