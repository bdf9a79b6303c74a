"""Transports on loopback, and an observer that remembers what they told it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from flockchain.crypto import ed25519
from flockchain.node.handshake import RemotePeer
from flockchain.node.links import LinkEnd
from flockchain.node.standing import Misdeed
from flockchain.node.transport import BlobService, Transport, TransportConfig
from flockchain.primitives.numbers import Hash, NodeId
from tests.kit.keys import build_seed

__all__ = ["GENESIS", "Ear", "Station", "run_station", "wait_until"]

GENESIS = Hash(build_seed("genesis"))


@dataclass
class Ear:
    """Everything a transport said, in order."""

    connected: list[NodeId] = field(default_factory=list)
    messages: list[tuple[NodeId, bytes]] = field(default_factory=list)
    gone: list[tuple[NodeId, LinkEnd]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    misdeeds: list[tuple[NodeId, Misdeed, str]] = field(default_factory=list)
    banned: list[tuple[NodeId, str, str]] = field(default_factory=list)
    dropped: list[tuple[NodeId, str]] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def on_peer_connected(self, peer: RemotePeer) -> None:
        self.connected.append(peer.node_id)

    def on_peer_message(self, peer: NodeId, payload: bytes) -> None:
        self.messages.append((peer, payload))

    def on_peer_gone(self, peer: NodeId, why: LinkEnd, details: str) -> None:
        self.gone.append((peer, why))
        self.details.append(details)

    def on_peer_refused(self, address: str, reason: str) -> None:
        self.refused.append((address, reason))

    def on_peer_misdeed(self, peer: NodeId, misdeed: Misdeed, reason: str) -> None:
        self.misdeeds.append((peer, misdeed, reason))

    def on_banned(self, peer: NodeId, host: str, what: str) -> None:
        self.banned.append((peer, host, what))

    def on_message_dropped(self, peer: NodeId, channel: str) -> None:
        self.dropped.append((peer, channel))

    def on_peer_file_trouble(self, reason: str) -> None:
        self.troubles.append(reason)


@dataclass
class Station:
    """A running transport."""

    transport: Transport
    ear: Ear
    node_id: NodeId

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.transport.port}"


@asynccontextmanager
async def run_station(
    name: str,
    *dial: str,
    genesis: Hash = GENESIS,
    config: TransportConfig | None = None,
    blobs: BlobService | None = None,
) -> AsyncIterator[Station]:
    """A transport of its own identity on a free port, dialling `dial`."""
    seed = build_seed(f"station/{name}")
    node_id = NodeId(ed25519.get_public_key(seed))
    ear = Ear()
    settings = replace(config or TransportConfig("127.0.0.1:0"), static_peers=dial)
    transport = Transport(settings, genesis, node_id, seed, ear, blobs)
    await transport.start()
    try:
        yield Station(transport, ear, node_id)
    finally:
        await transport.stop()


async def wait_until(is_true: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Return once `is_true`; fail after `timeout_s`."""
    async with asyncio.timeout(timeout_s):
        while not is_true():  # noqa: ASYNC110 (what a test waits for has no event)
            await asyncio.sleep(0.01)
