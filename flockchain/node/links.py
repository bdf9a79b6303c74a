"""One live connection to a peer whose identity is known: a bounded queue out, a rate-limited flow in.

A peer that reads too slowly is cut off: when its queue is full, or when one frame has been under way for too long.
What consensus needs goes before what can wait. Nothing that the peer sends raises here: it is dropped, counted, or the
link ends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from flockchain.gossip.messages import MessageKind, compute_message_kind
from flockchain.node.framing import MESSAGES_PER_FRAME_MAX, BrokenFrame, pack_messages, unpack_messages
from flockchain.node.handshake import RemotePeer
from flockchain.node.rate_limits import PeerRates
from flockchain.node.standing import Misdeed
from flockchain.primitives.errors import InvalidInput, invariant
from flockchain.primitives.limits import FRAME_BYTES_MAX, KIB, MIB, PEER_QUEUE_FRAMES_MAX

__all__ = ["FrameStream", "LinkConfig", "LinkEnd", "LinkObserver", "PeerLink"]

_BATCH_BYTES: Final = 256 * KIB  # a frame is closed when it holds this much
_BULK: Final = frozenset(
    {MessageKind.EXTRINSICS, MessageKind.BLOCKS_REPLY, MessageKind.LEARNING, MessageKind.NEIGHBOURS}
)


class FrameStream(Protocol):
    """One end of a stream of frames, authenticated already."""

    async def read(self) -> bytes | None: ...

    async def write(self, payload: bytes) -> None: ...

    def close(self) -> None: ...


class LinkEnd(Enum):
    """Why a link ended."""

    CLOSED_BY_PEER = "closed by the peer"
    STREAM_BROKEN = "the stream broke"
    SLOW_READER = "the peer reads too slowly"
    MISBEHAVED = "the peer misbehaved"
    REPLACED = "another connection to the peer took its place"
    STOPPING = "this node stops"


@dataclass(frozen=True, slots=True)
class LinkConfig:
    """How much may wait for a peer, and for how long one frame may take."""

    queue_frames_max: int = PEER_QUEUE_FRAMES_MAX
    queue_bytes_max: int = 48 * MIB
    write_stall_ms: int = 20_000


class LinkObserver(Protocol):
    """Who hears what a link brings."""

    def on_message(self, link: PeerLink, payload: bytes) -> None: ...

    def on_misdeed(self, link: PeerLink, misdeed: Misdeed, reason: str) -> None: ...


class PeerLink:
    """Reads and writes until one end stops; `run` returns why."""

    def __init__(
        self, remote: RemotePeer, stream: FrameStream, observer: LinkObserver, config: LinkConfig, *,
        is_outbound: bool, clock_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self.remote = remote
        self.is_outbound = is_outbound
        self.messages_in = 0
        self.messages_out = 0
        self._stream = stream
        self._observer = observer
        self._config = config
        self._clock_ms = clock_ms
        self._rates = PeerRates(clock_ms())
        self._urgent: deque[bytes] = deque()
        self._bulk: deque[bytes] = deque()
        self._queued_bytes = 0
        self._has_work = asyncio.Event()
        self._writing_since_ms: int | None = None
        self._end: asyncio.Future[LinkEnd] = asyncio.get_running_loop().create_future()

    @property
    def is_ended(self) -> bool:
        """Whether the link is over or about to be."""
        return self._end.done()

    def send(self, payload: bytes) -> None:
        """Queue one message; a full queue ends the link."""
        invariant(0 < len(payload) <= FRAME_BYTES_MAX, "message does not fit a frame", bytes=len(payload))
        if self._end.done():
            return
        queued = len(self._urgent) + len(self._bulk)
        if queued >= self._config.queue_frames_max or self._queued_bytes + len(payload) > self._config.queue_bytes_max:
            self.end(LinkEnd.SLOW_READER)
            return
        queue = self._bulk if payload[0] in _BULK else self._urgent
        queue.append(payload)
        self._queued_bytes += len(payload)
        self._has_work.set()

    def end(self, why: LinkEnd) -> None:
        """Stop the link; the first reason stands."""
        if not self._end.done():
            self._end.set_result(why)

    def on_tick(self) -> None:
        """Called about once a second: cut the peer off if a frame has been under way for too long."""
        since_ms = self._writing_since_ms
        if since_ms is not None and self._clock_ms() - since_ms > self._config.write_stall_ms:
            self.end(LinkEnd.SLOW_READER)

    async def run(self) -> LinkEnd:
        """Carry messages both ways until the link ends."""
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        try:
            return await self._end
        finally:
            self.end(LinkEnd.STOPPING)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._stream.close()
            self._urgent.clear()
            self._bulk.clear()

    async def _read(self) -> None:
        try:
            while not self._end.done():
                payload = await self._stream.read()
                if payload is None:
                    self.end(LinkEnd.CLOSED_BY_PEER)
                    return
                for message in unpack_messages(payload):
                    self._receive(message)
                    if self._end.done():
                        return
        except BrokenFrame as error:
            self._observer.on_misdeed(self, Misdeed.BAD_FRAME, str(error))
            self.end(LinkEnd.MISBEHAVED)
        except Exception:  # whatever the transport raises ends this link and nothing else
            self.end(LinkEnd.STREAM_BROKEN)

    def _receive(self, message: bytes) -> None:
        try:
            kind = compute_message_kind(message)
        except InvalidInput as error:
            self._observer.on_misdeed(self, Misdeed.BAD_MESSAGE, str(error))
            return
        if not self._rates.is_within(kind, len(message), self._clock_ms()):
            self._observer.on_misdeed(self, Misdeed.OVER_RATE, f"too many {kind.name} messages")
            return
        self.messages_in += 1
        self._observer.on_message(self, message)

    async def _write(self) -> None:
        try:
            while not self._end.done():
                if not self._urgent and not self._bulk:
                    self._has_work.clear()
                    await self._has_work.wait()
                batch = self._take_batch()
                self._writing_since_ms = self._clock_ms()
                await self._stream.write(pack_messages(batch))
                self._writing_since_ms = None
                self.messages_out += len(batch)
        except Exception:  # as in `_read`
            self.end(LinkEnd.STREAM_BROKEN)

    def _take_batch(self) -> list[bytes]:
        batch: list[bytes] = []
        size_bytes = 0
        while len(batch) < MESSAGES_PER_FRAME_MAX:
            queue = self._urgent or self._bulk
            if not queue or (batch and size_bytes + len(queue[0]) > _BATCH_BYTES):
                break
            message = queue.popleft()
            batch.append(message)
            size_bytes += len(message)
        self._queued_bytes -= size_bytes
        return batch
