"""`AsyncClient`: a chain's nodes as a few nouns."""

from __future__ import annotations

import grpc

from flockchain.client.blobs import Blobs
from flockchain.client.chain import Chain
from flockchain.client.events import Events
from flockchain.client.extrinsics import Extrinsics
from flockchain.client.light import Light
from flockchain.client.models import Models
from flockchain.client.rounds import Rounds
from flockchain.client.state import State
from flockchain.client.tasks import Tasks
from flockchain.client.transport import Timing, Transport
from flockchain.client.updates import Updates

__all__ = ["AsyncClient"]


class AsyncClient:
    """One or more nodes of one chain.

        async with AsyncClient("127.0.0.1:9001", "127.0.0.1:9002") as client:
            print((await client.chain.get_status()).height)

    Reads go to the first node that answers. Updates and suites are uploaded to all of them, so name more than one.
    Use a client on one event loop. Nothing is sent before the first call.
    """

    def __init__(
        self, *endpoints: str, timing: Timing | None = None, credentials: grpc.ChannelCredentials | None = None
    ) -> None:
        transport = Transport(endpoints, timing or Timing(), credentials)
        self._transport = transport
        self.chain = Chain(transport)
        self.extrinsics = Extrinsics(transport, self.chain)
        self.state = State(transport)
        self.blobs = Blobs(transport)
        self.events = Events(transport)
        self.tasks = Tasks(transport, self.extrinsics)
        self.rounds = Rounds(transport, self.tasks)
        self.updates = Updates(transport, self.tasks, self.rounds, self.blobs, self.extrinsics)
        self.light = Light(transport, self.chain)
        self.models = Models(transport, self.light, self.state, self.tasks, self.blobs)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
