"""Connections to peers: listening, dialling, the handshake, and at most one link for each peer.

The host hears three things: a peer is there, it said something, it is gone. It says one: send. What a peer does wrong
is counted here and ends, at worst, in a ban; no exception of a connection reaches the host. What messages mean is
the replica's to know.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import grpc
import grpc.aio

from flockchain.gossip.messages import compute_message_kind
from flockchain.node.acquaintances import AcquaintanceConfig, Acquaintances
from flockchain.node.address_groups import is_private_host, parse_stream_peer
from flockchain.node.certificates import BadCertificate, TlsIdentity, issue_identity
from flockchain.node.grpc_streams import (
    DialledStream,
    ServedStream,
    get_client_certificate,
    open_channel,
    open_server,
    wait_connected,
)
from flockchain.node.handshake import (
    Accepted,
    HandshakeFailed,
    HandshakeRefused,
    LocalPeer,
    Refusal,
    RefusalReason,
    RemotePeer,
    build_hello,
    build_proof,
    build_remote,
    build_welcome,
    decode_handshake,
    encode_handshake,
    require_good_hello,
    require_good_proof,
    require_good_welcome,
)
from flockchain.node.links import FrameStream, LinkConfig, LinkEnd, PeerLink
from flockchain.node.peers import compute_is_kept, split_address
from flockchain.node.rate_limits import KIND_RULES
from flockchain.node.slots import Seat
from flockchain.node.standing import Misdeed
from flockchain.primitives.errors import Fault
from flockchain.primitives.numbers import Hash, NodeId
from flockchain.v1 import peer_pb2_grpc

__all__ = ["BlobService", "CannotListen", "PeerInfo", "Transport", "TransportConfig", "TransportObserver"]

_TICK_S: Final = 0.05
_TICKS_PER_LINK_CHECK: Final = 20
_TLS_FAILURE: Final = "Tls handshake failed"  # how gRPC words it


class CannotListen(Fault):
    """The peer address is taken or not ours."""


class TransportObserver(Protocol):
    """What the host hears. None of these may raise."""

    def on_peer_connected(self, peer: RemotePeer) -> None: ...

    def on_peer_message(self, peer: NodeId, payload: bytes) -> None: ...

    def on_peer_gone(self, peer: NodeId, why: LinkEnd, details: str) -> None: ...

    def on_peer_refused(self, address: str, reason: str) -> None: ...

    def on_peer_misdeed(self, peer: NodeId, misdeed: Misdeed, reason: str) -> None: ...

    def on_banned(self, peer: NodeId, host: str, what: str) -> None: ...

    def on_message_dropped(self, peer: NodeId, channel: str) -> None: ...

    def on_peer_file_trouble(self, reason: str) -> None: ...


class BlobService(Protocol):
    """Who answers `FetchBlob`: yields responses, or aborts the context."""

    def serve(self, request: Any, context: Any, caller: NodeId | None) -> Any: ...


@dataclass(frozen=True, slots=True)
class TransportConfig:
    """Where to listen, whom to dial, how long to wait."""

    listen: str
    advertise: str = ""
    static_peers: tuple[str, ...] = ()
    connect_timeout_ms: int = 3_000  # TCP and TLS, when we dial
    handshake_timeout_ms: int = 5_000
    handshakes_max: int = 64
    handshakes_per_host_max: int = 8  # of one public address
    is_discovering: bool = True
    link: LinkConfig = field(default_factory=LinkConfig)
    acquaintances: AcquaintanceConfig = field(default_factory=AcquaintanceConfig)


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """One connected peer, for status and metrics."""

    node_id: NodeId
    address: str
    is_outbound: bool
    messages_in: int
    messages_out: int
    points: int


class _Servicer(peer_pb2_grpc.PeerServiceServicer):
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def Connect(self, request: Any, context: Any) -> None:  # noqa: N802 (gRPC names it)
        await self._transport.serve(context)

    async def FetchBlob(self, request: Any, context: Any) -> Any:  # noqa: N802
        async for response in self._transport.serve_blob(request, context):
            yield response


class Transport:
    """Starts and stops with the node; everything runs on one event loop."""

    def __init__(
        self, config: TransportConfig, genesis_hash: Hash, node_id: NodeId, seed: bytes, observer: TransportObserver,
        blobs: BlobService | None = None,
    ) -> None:  # fmt: skip
        self._config = config
        self._observer = observer
        self._blobs = blobs
        self._node_id = node_id
        self._identity = issue_identity(genesis_hash)
        self._local = LocalPeer(
            genesis_hash, node_id, seed, secrets.token_bytes(16), self._identity.fingerprint, config.advertise
        )
        self._links: dict[NodeId, PeerLink] = {}
        self._known = Acquaintances(config.acquaintances, node_id, config.advertise, config.static_peers)
        self._handshakes: Counter[str] = Counter()  # that run now, by the stranger's host
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: Any = None
        self._is_stopping = False
        self.port = 0

    @property
    def peers(self) -> tuple[PeerInfo, ...]:
        """The connected peers, ascending by node id."""
        return tuple(
            PeerInfo(
                peer, link.remote.address, link.is_outbound, link.messages_in, link.messages_out,
                self._known.get_points(peer),
            )
            for peer, link in sorted(self._links.items())
        )  # fmt: skip

    @property
    def banned_count(self) -> int:
        """Identities and hosts that may not connect now."""
        return self._known.count_banned()

    @property
    def identity(self) -> TlsIdentity:
        """This start's TLS key and certificate, with which blobs are fetched from peers too."""
        return self._identity

    async def start(self) -> None:
        """Listen and begin to dial; raises `CannotListen`."""
        try:
            self._server, self.port = open_server(self._config.listen, self._identity, _Servicer(self))
        except RuntimeError as error:
            raise CannotListen("cannot listen for peers", address=self._config.listen) from error
        address = self._config.advertise or _compute_address(self._config.listen, self.port)
        self._local = replace(self._local, address=address)
        statics = self._config.static_peers
        self._known = Acquaintances(self._config.acquaintances, self._node_id, address, statics)
        self._known.load(self._observer.on_peer_file_trouble)
        await self._server.start()
        self._spawn(self._tick_for_ever())

    async def stop(self) -> None:
        """End every link and stop listening."""
        self._is_stopping = True
        for link in list(self._links.values()):
            link.end(LinkEnd.STOPPING)
        if self._server is not None:
            await self._server.stop(0.2)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._known.save_if_due(self._observer.on_peer_file_trouble, is_now=True)

    def send(self, peers: Iterable[NodeId], payload: bytes) -> None:
        """Queue one encoded message for each of `peers`; those that are not connected are passed over."""
        for peer in peers:
            link = self._links.get(peer)
            if link is not None:
                link.send(payload)

    def penalise(self, peer: NodeId, reason: str) -> None:
        """The replica caught `peer` sending what no honest node sends."""
        self._count(peer, Misdeed.BAD_CONTENT, reason)

    def discover(self, source: NodeId, node_id: NodeId, address: str) -> None:
        """The peer `source` says that `node_id` listens at `address`."""
        link = self._links.get(source)
        if self._config.is_discovering and link is not None:
            self._known.plan.on_heard(source, link.host, node_id, address, self._clock_ms())

    def get_peer_by_certificate(self, certificate: Hash) -> NodeId | None:
        """The connected peer whose handshake named this TLS certificate."""
        for peer, link in self._links.items():
            if link.remote.certificate == certificate:
                return peer
        return None

    def on_message(self, link: PeerLink, payload: bytes) -> None:
        """A link's message, on to the host."""
        self._observer.on_peer_message(link.remote.node_id, payload)

    def on_misdeed(self, link: PeerLink, misdeed: Misdeed, reason: str) -> None:
        """A link's peer broke a rule of the wire."""
        self._count(link.remote.node_id, misdeed, reason)

    def on_dropped(self, link: PeerLink, message: bytes) -> None:
        """A message for a link's peer that did not find room, or took another's."""
        channel = KIND_RULES[compute_message_kind(message)].channel.name
        self._observer.on_message_dropped(link.remote.node_id, channel)

    async def serve(self, context: Any) -> None:
        """One incoming stream, from the handshake to its end."""
        host = parse_stream_peer(context.peer())
        if self._is_stopping or not self._has_handshake_left(host):
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many handshakes")
        stream = ServedStream(context)
        self._handshakes[host] += 1
        try:
            remote = await asyncio.wait_for(
                self._greet(stream, context, host), self._config.handshake_timeout_ms / 1000
            )
        except Exception as error:  # a stranger's stream: whatever goes wrong, it ends
            self._observer.on_peer_refused(context.peer(), str(error) or type(error).__name__)
            return
        finally:
            self._handshakes -= Counter([host])
        await self._run_link(remote, host, stream, is_outbound=False)

    def _has_handshake_left(self, host: str) -> bool:
        is_bounded = self._config.acquaintances.slots.has_private_bounds or not is_private_host(host)
        most = self._config.handshakes_per_host_max if is_bounded else self._config.handshakes_max
        return self._handshakes.total() < self._config.handshakes_max and self._handshakes[host] < most

    async def serve_blob(self, request: Any, context: Any) -> Any:
        """Answers of `FetchBlob`, as the host's blob service gives them."""
        if self._blobs is None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this node serves no blobs")
            return
        try:
            caller = self.get_peer_by_certificate(get_client_certificate(context))
        except BadCertificate:
            caller = None
        async for response in self._blobs.serve(request, context, caller):
            yield response

    async def _greet(self, stream: FrameStream, context: Any, host: str) -> RemotePeer:
        """The listener's part of the handshake; a refusal is told to the other end before it raises."""
        try:
            hello = require_good_hello(
                self._local, decode_handshake(await _read_frame(stream)), get_client_certificate(context)
            )
            welcome = build_welcome(self._local, hello, _draw_nonce())
            await stream.write(encode_handshake(welcome))
            proof = decode_handshake(await _read_frame(stream))
            remote = require_good_proof(self._local, hello, welcome, proof)
            self._require_wanted(remote, host, is_outbound=False)
        except HandshakeFailed as error:
            await stream.write(encode_handshake(Refusal(error.reason)))
            raise
        await stream.write(encode_handshake(Accepted()))
        return remote

    async def _dial(self, address: str) -> None:
        """One attempt, and the link that comes of it."""
        channel = open_channel(address, self._identity)
        stream: DialledStream | None = None
        try:
            await asyncio.wait_for(wait_connected(channel), self._config.connect_timeout_ms / 1000)
            stream = DialledStream(channel)
            remote = await asyncio.wait_for(self._introduce(stream, address), self._config.handshake_timeout_ms / 1000)
        except Exception as error:  # a refused, dead or hostile address: try again later
            if stream is not None:
                stream.close()
            await channel.close(None)
            self._on_dial_failed(address, error)
            return
        self._known.plan.on_connected(address, remote.node_id, self._clock_ms())
        try:
            await self._run_link(remote, _get_host(address), stream, is_outbound=True)
        finally:
            await channel.close(None)
            self._known.plan.on_lost(address, self._clock_ms())

    async def _introduce(self, stream: FrameStream, address: str) -> RemotePeer:
        """The dialler's part of the handshake."""
        hello = build_hello(self._local, _draw_nonce())
        await stream.write(encode_handshake(hello))
        welcome = require_good_welcome(self._local, hello, decode_handshake(await _read_frame(stream)))
        remote = build_remote(welcome)
        self._known.plan.on_identified(address, remote.node_id)
        try:
            self._require_wanted(remote, _get_host(address), is_outbound=True)
        except HandshakeFailed as error:
            await stream.write(encode_handshake(Refusal(error.reason)))
            raise
        await stream.write(encode_handshake(build_proof(self._local, hello, welcome)))
        verdict = decode_handshake(await _read_frame(stream))
        if isinstance(verdict, Refusal):
            raise HandshakeRefused(verdict.reason)
        if not isinstance(verdict, Accepted):
            raise HandshakeFailed(RefusalReason.PROTOCOL, "expected an acceptance", got=type(verdict).__name__)
        return remote

    def _require_wanted(self, remote: RemotePeer, host: str, *, is_outbound: bool) -> None:
        old = self._links.get(remote.node_id)
        if old is not None and not old.is_ended and self._is_old_kept(old, remote, is_outbound):
            raise HandshakeFailed(RefusalReason.DUPLICATE, "peer is connected already", peer=remote.node_id)
        taken = [
            Seat(link.host, link.is_outbound or self._known.plan.is_static_node(peer))
            for peer, link in self._links.items()
            if peer != remote.node_id
        ]
        self._known.require_welcome(remote.node_id, host, taken, is_outbound=is_outbound)

    def _is_old_kept(self, old: PeerLink, remote: RemotePeer, is_outbound: bool) -> bool:
        return compute_is_kept(
            self._node_id, remote.node_id, old_is_outbound=old.is_outbound, new_is_outbound=is_outbound,
            is_same_instance=old.remote.instance == remote.instance,
        )  # fmt: skip

    async def _run_link(self, remote: RemotePeer, host: str, stream: FrameStream, *, is_outbound: bool) -> None:
        """Register the link, run it, and tell the host of both ends. The old link of the peer gives way."""
        peer = remote.node_id
        old = self._links.get(peer)
        if self._is_stopping or (old is not None and not old.is_ended and self._is_old_kept(old, remote, is_outbound)):
            stream.close()
            return
        if old is not None:
            self._unregister(old, LinkEnd.REPLACED)
        link = PeerLink(
            remote, stream, self, self._config.link, host=host, is_outbound=is_outbound, clock_ms=self._monotonic_ms
        )
        self._links[peer] = link
        self._observer.on_peer_connected(remote)
        why = LinkEnd.STREAM_BROKEN
        try:
            why = await link.run()
        finally:
            self._unregister(link, why)

    def _unregister(self, link: PeerLink, why: LinkEnd) -> None:
        link.end(why)
        peer = link.remote.node_id
        if self._links.get(peer) is link:
            del self._links[peer]
            self._observer.on_peer_gone(peer, why, link.broken_by)

    def _count(self, peer: NodeId, misdeed: Misdeed, reason: str) -> None:
        self._observer.on_peer_misdeed(peer, misdeed, reason)
        link = self._links.get(peer)
        host = "" if link is None else link.host
        banned = self._known.on_misdeed(peer, host, misdeed)
        for what in banned:
            self._observer.on_banned(peer, host, what)
        if banned and link is not None:
            link.end(LinkEnd.MISBEHAVED)

    def _on_dial_failed(self, address: str, error: Exception) -> None:
        now_ms = self._clock_ms()
        reason = getattr(error, "reason", None)
        if reason is RefusalReason.SELF:
            self._known.plan.on_own_address(address)
        else:
            self._known.plan.on_failed(address, now_ms, secrets.randbelow(500))
        if isinstance(error, grpc.aio.AioRpcError):
            if _TLS_FAILURE in (error.details() or ""):
                self._observer.on_peer_refused(address, "TLS fails: it is of another chain, or no flockchain node")
        elif reason is not RefusalReason.DUPLICATE and not isinstance(error, TimeoutError):
            self._observer.on_peer_refused(address, str(error) or type(error).__name__)

    async def _tick_for_ever(self) -> None:
        ticks = 0
        while not self._is_stopping:
            for address in self._known.plan.take_due(self._clock_ms(), self._links.keys()):
                self._spawn(self._dial(address))
            ticks += 1
            if ticks % _TICKS_PER_LINK_CHECK == 0:
                for link in list(self._links.values()):
                    link.on_tick()
                await self._known.save_if_due(self._observer.on_peer_file_trouble)
            await asyncio.sleep(_TICK_S)

    def _spawn(self, coroutine: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @staticmethod
    def _clock_ms() -> int:
        return time.time_ns() // 1_000_000

    @staticmethod
    def _monotonic_ms() -> int:
        return time.monotonic_ns() // 1_000_000


def _compute_address(listen: str, port: int) -> str:
    """Where others can dial us, as far as `listen` says; empty for an address that means "any"."""
    host = listen.rpartition(":")[0]
    return "" if host in ("0.0.0.0", "[::]", "") else f"{host}:{port}"


def _get_host(address: str) -> str:
    parts = split_address(address)
    return address if parts is None else parts[0]


def _draw_nonce() -> Hash:
    return Hash(secrets.token_bytes(32))


async def _read_frame(stream: FrameStream) -> bytes:
    payload = await stream.read()
    if payload is None:
        raise HandshakeFailed(RefusalReason.PROTOCOL, "stream ended during the handshake")
    return payload
