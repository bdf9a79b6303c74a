"""EventService: what happens on the chain, as it is finalized."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc.aio

from flockchain.crypto.hashing import compute_block_hash, compute_extrinsic_hash
from flockchain.primitives.errors import invariant
from flockchain.primitives.numbers import Height
from flockchain.rpc.backend import ChainBackend
from flockchain.rpc.outcomes import Outcomes
from flockchain.v1 import events_pb2
from flockchain.v1.events_pb2_grpc import EventServiceServicer

__all__ = ["EventService"]

Context = grpc.aio.ServicerContext[Any, Any]


class EventService(EventServiceServicer):
    """One stream a subscriber; who is too slow is cut off by the broadcast and comes back."""

    def __init__(self, backend: ChainBackend, outcomes: Outcomes) -> None:
        self._backend = backend
        self._outcomes = outcomes

    async def Subscribe(  # noqa: N802
        self, request: events_pb2.SubscribeRequest, context: Context
    ) -> AsyncIterator[events_pb2.SubscribeResponse]:
        head = self._backend.get_status().height
        following = (request.after_height if request.HasField("after_height") else head) + 1
        while following <= self._backend.get_status().height:  # the past, before a queue could fill up
            for message in self._tell(Height(following), request):
                yield message
            following += 1
        with self._backend.heads.subscribe() as heads:
            reached = self._backend.get_status().height
            while True:
                while following <= reached:
                    for message in self._tell(Height(following), request):
                        yield message
                    following += 1
                try:
                    reached = await anext(heads)
                except StopAsyncIteration:
                    return

    def _tell(self, height: Height, request: events_pb2.SubscribeRequest) -> Iterator[events_pb2.SubscribeResponse]:
        yield events_pb2.SubscribeResponse(finalized_block=self._build(height, not request.without_runtime_events))
        for change in self._outcomes.get_round_changes(height):
            yield events_pb2.SubscribeResponse(round_changed=change)

    def _build(self, height: Height, with_events: bool) -> events_pb2.FinalizedBlock:
        self._backend.chain.require_height(height)
        block = self._backend.chain.get_block(height)
        invariant(block is not None, "a finalized block is on disk", height=height)
        if block is None:
            return events_pb2.FinalizedBlock(height=height)
        header = block.header
        return events_pb2.FinalizedBlock(
            height=height, block_hash=compute_block_hash(header), epoch=header.epoch, view=header.view,
            timestamp_ms=header.timestamp_ms, proposer=header.proposer, state_root=header.state_root,
            extrinsic_hashes=[compute_extrinsic_hash(raw) for raw in block.extrinsics],
            learning_items=len(block.learning), events=self._outcomes.get_events(height) if with_events else (),
        )  # fmt: skip
