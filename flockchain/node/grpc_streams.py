"""gRPC as the node's links see it: channels and servers with mutual TLS, and frames in and out of a stream.

Knows credentials and channel options. Does not know what a frame carries.
"""

from __future__ import annotations

from typing import Any, Final

import grpc
import grpc.aio

from flockchain.node.certificates import PEER_HOST_NAME, BadCertificate, TlsIdentity, compute_fingerprint
from flockchain.node.framing import BrokenFrame
from flockchain.primitives.limits import FRAME_BYTES_MAX, KIB, MIB
from flockchain.primitives.numbers import Hash
from flockchain.rpc.malformed import SoundMessages
from flockchain.v1 import peer_pb2, peer_pb2_grpc

__all__ = ["DialledStream", "ServedStream", "get_client_certificate", "open_channel", "open_server", "wait_connected"]

_END: Final[Any] = vars(grpc.aio)["EOF"]
_RECEIVE_BYTES_MAX: Final = FRAME_BYTES_MAX + 512 * KIB
_COMMON_OPTIONS: Final[list[tuple[str, Any]]] = [
    ("grpc.max_receive_message_length", _RECEIVE_BYTES_MAX),
    ("grpc.max_send_message_length", -1),  # links keep to the limit
    ("grpc.max_metadata_size", 16 * KIB),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),  # the kernel's limit for unacknowledged data too: a dead line is left soon
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.lookahead_bytes", 1 * MIB),
]
_CHANNEL_OPTIONS: Final[list[tuple[str, Any]]] = [
    *_COMMON_OPTIONS,
    ("grpc.ssl_target_name_override", PEER_HOST_NAME),
    ("grpc.default_authority", PEER_HOST_NAME),
    ("grpc.use_local_subchannel_pool", 1),  # back-off is ours, not shared with an earlier attempt's
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
]
_SERVER_OPTIONS: Final[list[tuple[str, Any]]] = [
    *_COMMON_OPTIONS,
    ("grpc.so_reuseport", 0),  # a second node on this port must fail
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.max_concurrent_streams", 32),
]


class DialledStream:
    """The dialler's end. Closing it closes its channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        stub: Any = peer_pb2_grpc.PeerServiceStub(channel)
        self._call: Any = stub.Connect()

    async def read(self) -> bytes | None:
        """The next frame's payload; None at the end of the stream."""
        return _get_payload(await self._call.read())

    async def write(self, payload: bytes) -> None:
        """Send one frame; returns when the transport has taken it, which a slow reader delays."""
        await self._call.write(peer_pb2.Frame(payload=payload))

    def close(self) -> None:
        """End the stream at once."""
        self._call.cancel()


class ServedStream:
    """The listener's end. The stream closes when the servicer's handler returns."""

    def __init__(self, context: Any) -> None:
        self._context = context

    async def read(self) -> bytes | None:
        """The next frame's payload; None at the end of the stream."""
        return _get_payload(await self._context.read())

    async def write(self, payload: bytes) -> None:
        """As of `DialledStream`."""
        await self._context.write(peer_pb2.Frame(payload=payload))

    def close(self) -> None:
        """Nothing to do: see the class."""


def _get_payload(frame: Any) -> bytes | None:
    """A frame's payload, None at the end. Raises `BrokenFrame` for bytes that are no frame (gRPC gives no message)."""
    if frame is _END:
        return None
    if not isinstance(frame, peer_pb2.Frame):
        raise BrokenFrame("the stream carries no frames")
    return frame.payload


def open_channel(address: str, identity: TlsIdentity) -> grpc.aio.Channel:
    """A channel to a peer; the connection itself is made by the first call."""
    credentials = grpc.ssl_channel_credentials(identity.authority, identity.private_key, identity.certificate)
    return grpc.aio.secure_channel(address, credentials, options=_CHANNEL_OPTIONS)


async def wait_connected(channel: grpc.aio.Channel) -> None:
    """Return when TCP and TLS stand, or have failed for good: the first call then says why."""
    ends = (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE)
    state = channel.get_state(try_to_connect=True)
    while state not in (*ends, grpc.ChannelConnectivity.SHUTDOWN):
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)


def open_server(address: str, identity: TlsIdentity, servicer: peer_pb2_grpc.PeerServiceServicer) -> tuple[Any, int]:
    """A server bound to `address` (port 0: any), not started, and its port. Raises `RuntimeError` if it cannot bind."""
    server = grpc.aio.server(interceptors=(SoundMessages(),), options=_SERVER_OPTIONS)
    peer_pb2_grpc.add_PeerServiceServicer_to_server(servicer, server)
    credentials = grpc.ssl_server_credentials(
        [(identity.private_key, identity.certificate)], root_certificates=identity.authority, require_client_auth=True
    )
    port = server.add_secure_port(address, credentials)
    if port == 0:
        raise RuntimeError(f"cannot listen on {address}")
    return server, port


def get_client_certificate(context: Any) -> Hash:
    """The fingerprint of the certificate that the caller showed in TLS; raises `BadCertificate`."""
    certificates = list(context.auth_context().get("x509_pem_cert", ()))
    if len(certificates) != 1:
        raise BadCertificate("caller shows no single certificate", certificates=len(certificates))
    return compute_fingerprint(certificates[0])
