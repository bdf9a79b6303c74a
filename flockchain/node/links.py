"""One live connection to a peer whose identity is known: bounded queues out, a limited flow in.

A peer that reads too slowly is cut off: when a queue is full of which nothing may be lost, or when one frame has been
under way for too long. What consensus needs goes before what can wait. Nothing that the peer sends raises here: it is
dropped, counted, or the link ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from flockchain.gossip.messages import compute_message_kind
from flockchain.node.framing import MESSAGES_PER_FRAME_MAX, BrokenFrame, pack_messages, unpack_messages
from flockchain.node.handshake import RemotePeer
from flockchain.node.outgoing import OutgoingQueues, Queued
from flockchain.node.rate_limits import CHANNELS, KIND_RULES, Channel, PeerRates
from flockchain.node.standing import Misdeed
from flockchain.primitives.errors import InvalidInput, invariant
from flockchain.primitives.limits import FRAME_BYTES_MAX, KIB

__all__ = ["FrameStream", "LinkConfig", "LinkEnd", "LinkObserver", "PeerLink"]

_BATCH_BYTES: Final = 256 * KIB  # a frame is closed when it holds this much
_REASON_CHARACTERS_MAX: Final = 300


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

    channels: tuple[Channel, ...] = CHANNELS
    write_stall_ms: int = 20_000


class LinkObserver(Protocol):
    """Who hears what a link brings."""

    def on_message(self, link: PeerLink, payload: bytes) -> None: ...

    def on_misdeed(self, link: PeerLink, misdeed: Misdeed, reason: str) -> None: ...

    def on_dropped(self, link: PeerLink, message: bytes) -> None: ...


class PeerLink:
    """Reads and writes until one end stops; `run` returns why."""

    def __init__(
        self, remote: RemotePeer, stream: FrameStream, observer: LinkObserver, config: LinkConfig, *,
        host: str, is_outbound: bool, clock_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self.remote = remote
        self.host = host  # where the connection comes from, or was dialled to
        self.is_outbound = is_outbound
        self.messages_in = 0
        self.messages_out = 0
        self.broken_by = ""  # what the transport said when the stream broke
        self._stream = stream
        self._observer = observer
        self._config = config
        self._clock_ms = clock_ms
        self._rates = PeerRates(clock_ms())
        self._queues = OutgoingQueues(config.channels)
        self._has_work = asyncio.Event()
        self._writing_since_ms: int | None = None
        self._end: asyncio.Future[LinkEnd] = asyncio.get_running_loop().create_future()

    @property
    def is_ended(self) -> bool:
        """Whether the link is over or about to be."""
        return self._end.done()

    def send(self, payload: bytes) -> None:
        """Queue one message; what happens when there is no room is its channel's to say."""
        invariant(0 < len(payload) <= FRAME_BYTES_MAX, "message does not fit a frame", bytes=len(payload))
        if self._end.done():
            return
        outcome = self._queues.push(payload)
        if outcome is Queued.CUT:
            self.end(LinkEnd.SLOW_READER)
            return
        if outcome is not Queued.TAKEN:
            self._observer.on_dropped(self, payload)
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
            self._queues.clear()

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
        except Exception as error:  # whatever the transport raises ends this link and nothing else
            self._break(error)

    def _receive(self, message: bytes) -> None:
        try:
            kind = compute_message_kind(message)
        except InvalidInput as error:
            self._observer.on_misdeed(self, Misdeed.BAD_MESSAGE, str(error))
            return
        if len(message) > KIND_RULES[kind].bytes_max:
            reason = f"a {kind.name} message is too long: {len(message)} bytes of {KIND_RULES[kind].bytes_max}"
            self._observer.on_misdeed(self, Misdeed.BAD_MESSAGE, reason)
            return
        if not self._rates.is_within(kind, len(message), self._clock_ms()):
            self._observer.on_misdeed(self, Misdeed.OVER_RATE, f"too many {kind.name} messages")
            return
        self.messages_in += 1
        self._observer.on_message(self, message)

    async def _write(self) -> None:
        try:
            while not self._end.done():
                batch = self._queues.take(MESSAGES_PER_FRAME_MAX, _BATCH_BYTES)
                if not batch:
                    self._has_work.clear()
                    await self._has_work.wait()
                    continue
                self._writing_since_ms = self._clock_ms()
                await self._stream.write(pack_messages(batch))
                self._writing_since_ms = None
                self.messages_out += len(batch)
        except Exception as error:  # as in `_read`
            self._break(error)

    def _break(self, error: Exception) -> None:
        if not self._end.done():
            details = getattr(error, "details", None)  # gRPC's errors say the reason there
            said = details() if callable(details) else str(error)
            self.broken_by = f"{type(error).__name__}: {said}"[:_REASON_CHARACTERS_MAX]
        self.end(LinkEnd.STREAM_BROKEN)
