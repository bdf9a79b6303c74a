"""`client.events`: what happens on the chain, as it is finalized, without gaps across reconnections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from flockchain.client.errors import BrokenAnswer, DeadlineExceeded, NodeBusy, Unreachable
from flockchain.client.records import FinalizedBlock, RoundChanged
from flockchain.client.transport import Transport
from flockchain.primitives.errors import FlockchainError
from flockchain.primitives.numbers import Height
from flockchain.v1 import events_pb2
from flockchain.v1.events_pb2_grpc import EventServiceStub

__all__ = ["Events"]


class Events:
    """A stream of finalized blocks and of changes of rounds."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def subscribe(
        self, after: Height | int | None = None, *, without_runtime_events: bool = False
    ) -> AsyncIterator[FinalizedBlock | RoundChanged]:
        """Blocks after a height, or from now on; the changes of rounds that a block caused follow it.

        A broken stream is taken up again from the last height, on the next node if need be: no block is left out
        and none comes twice, but changes of the last block's rounds may. Raises `Unreachable` when no node answers.
        """
        last: Height | None = None if after is None else Height(after)
        failures = 0
        while True:
            link = self._transport.link
            try:
                request = events_pb2.SubscribeRequest(after_height=last, without_runtime_events=without_runtime_events)
                call = link.get(EventServiceStub).Subscribe(request)
                stream = self._transport.read_stream(call, link, self._transport.timing.stream_silence_ms)
                async for message in stream:
                    failures = 0
                    if message.HasField("finalized_block"):
                        block = FinalizedBlock.from_message(message.finalized_block)
                        if last is not None and block.height <= last:
                            continue
                        if last is not None and block.height > last + 1:
                            raise BrokenAnswer("the node left blocks out", after=last, got=block.height)
                        last = block.height
                        yield block
                    elif message.HasField("round_changed"):
                        yield RoundChanged.from_message(message.round_changed)
                failure: FlockchainError = Unreachable("the node ended the stream", endpoint=link.endpoint)
            except DeadlineExceeded:
                continue  # a quiet chain is no failure: look again
            except (Unreachable, NodeBusy) as error:
                failure = error
            failures += 1
            if failures >= self._transport.timing.attempts:
                raise failure
            self._transport.change_link(link)
            await asyncio.sleep((self._transport.timing.backoff_ms << failures) / 1000)
