"""Who is at the other end of a stream: the signed handshake of two nodes, without sockets.

    dialler                                   listener
      Hello(version, genesis, id, nonce..) ->
                                           <- Welcome(.., signature over LISTENER, Hello, Welcome)
      Proof(signature over DIALLER, Hello, Welcome) ->
                                           <- Accepted, or Refusal at any step

A Python dialler cannot see the listener's TLS certificate, so the TLS channel is bound through the dialler's: it is in
the Hello, the listener compares it with the one that TLS shows, and both sign it. Someone in between has to present a
certificate of his own to the listener, and then either the listener sees another certificate than the Hello names, or
the dialler sees a signature over another Hello than it sent. The nonces make every handshake new.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from flockchain.crypto import ed25519
from flockchain.crypto.hashing import sha256
from flockchain.crypto.signing import compute_handshake_bytes
from flockchain.gossip.messages import ADDRESS_BYTES_MAX
from flockchain.primitives.codec import HASH, U16, Codec, DecodeError, EnumOf, FixedBytes, Text, UnionOf, struct
from flockchain.primitives.errors import InvalidInput, Refused
from flockchain.primitives.numbers import Hash, NodeId

__all__ = [
    "PROTOCOL_VERSION", "Accepted", "HandshakeFailed", "HandshakeRefused", "Hello", "LocalPeer", "Proof", "Refusal",
    "RefusalReason", "RemotePeer", "Welcome", "build_hello", "build_proof", "build_remote", "build_welcome",
    "decode_handshake",
    "encode_handshake", "require_good_hello", "require_good_proof", "require_good_welcome",
]  # fmt: skip

PROTOCOL_VERSION: Final = 1
HANDSHAKE_BYTES_MAX: Final = 1024
_INSTANCE_BYTES: Final = 16
_LISTENER, _DIALLER = b"\x00", b"\x01"


class RefusalReason(IntEnum):
    """Why a handshake ends. Append-only."""

    WRONG_VERSION = 0
    WRONG_CHAIN = 1
    SELF = 2  # the node dialled itself
    DUPLICATE = 3  # another connection between the two stays
    BAD_SIGNATURE = 4  # or another certificate than TLS shows
    FULL = 5
    BANNED = 6
    PROTOCOL = 7  # not a handshake, or one out of turn


class HandshakeFailed(InvalidInput):
    """The other end's handshake does not hold; `reason` says to it why."""

    def __init__(self, reason: RefusalReason, sentence: str, /, **values: object) -> None:
        super().__init__(sentence, reason=reason.name, **values)
        self.reason = reason


class HandshakeRefused(Refused):
    """The other end refused ours."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__("peer refused the handshake", reason=reason.name)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Hello:
    """A dialler introduces itself. `certificate`: its TLS certificate's fingerprint; `instance`: new each start."""

    version: int
    genesis_hash: Hash
    node_id: NodeId
    instance: bytes
    certificate: Hash
    nonce: Hash
    address: str


@dataclass(frozen=True, slots=True)
class Welcome:
    """The listener's introduction, and its signature."""

    version: int
    genesis_hash: Hash
    node_id: NodeId
    instance: bytes
    certificate: Hash
    nonce: Hash
    address: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Proof:
    """The dialler's signature."""

    signature: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """Frames follow."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The stream ends here."""

    reason: RefusalReason


HandshakeMessage = Hello | Welcome | Proof | Accepted | Refusal


@dataclass(frozen=True, slots=True)
class LocalPeer:
    """What this node says of itself. `seed` is the node key's; `address` is where others can dial it, or empty."""

    genesis_hash: Hash
    node_id: NodeId
    seed: bytes
    instance: bytes
    certificate: Hash
    address: str


@dataclass(frozen=True, slots=True)
class RemotePeer:
    """What a finished handshake proves: identity, certificate and start of the other end; the address is its word."""

    node_id: NodeId
    instance: bytes
    certificate: Hash
    address: str


_INTRODUCTION: Final[dict[str, Codec[Any]]] = {
    "version": U16, "genesis_hash": HASH, "node_id": HASH, "instance": FixedBytes(_INSTANCE_BYTES),
    "certificate": HASH, "nonce": HASH, "address": Text(ADDRESS_BYTES_MAX),
}  # fmt: skip
_HELLO = struct(Hello, **_INTRODUCTION)
_WELCOME = struct(Welcome, **_INTRODUCTION, signature=FixedBytes(64))
_MESSAGE = UnionOf(
    {
        0: _HELLO,
        1: _WELCOME,
        2: struct(Proof, signature=FixedBytes(64)),
        3: struct(Accepted),
        4: struct(Refusal, reason=EnumOf(RefusalReason)),
    }
)


def encode_handshake(message: HandshakeMessage) -> bytes:
    """The canonical bytes of a handshake message."""
    return _MESSAGE.encode(message)


def decode_handshake(data: bytes) -> HandshakeMessage:
    """The handshake message in `data`; raises `HandshakeFailed` for anything else."""
    if len(data) > HANDSHAKE_BYTES_MAX:
        raise HandshakeFailed(RefusalReason.PROTOCOL, "handshake is too long", bytes=len(data))
    try:
        message: HandshakeMessage = _MESSAGE.decode(data)
    except DecodeError as error:
        raise HandshakeFailed(RefusalReason.PROTOCOL, "not a handshake", error=str(error)) from error
    return message


def build_hello(local: LocalPeer, nonce: Hash) -> Hello:
    """The dialler's first message; `nonce` is fresh and random."""
    return Hello(
        PROTOCOL_VERSION, local.genesis_hash, local.node_id, local.instance, local.certificate, nonce, local.address
    )


def build_welcome(local: LocalPeer, hello: Hello, nonce: Hash) -> Welcome:
    """The listener's answer to a good `hello`; `nonce` is fresh and random."""
    unsigned = Welcome(
        PROTOCOL_VERSION, local.genesis_hash, local.node_id, local.instance, local.certificate, nonce, local.address,
        bytes(64),
    )  # fmt: skip
    signature = ed25519.sign(local.seed, _compute_transcript(_LISTENER, local.genesis_hash, hello, unsigned))
    return _with_signature(unsigned, signature)


def build_proof(local: LocalPeer, hello: Hello, welcome: Welcome) -> Proof:
    """The dialler's answer to a good `welcome`."""
    return Proof(ed25519.sign(local.seed, _compute_transcript(_DIALLER, local.genesis_hash, hello, welcome)))


def require_good_hello(local: LocalPeer, message: HandshakeMessage, seen_certificate: Hash) -> Hello:
    """The dialler's Hello, if the listener may answer it; `seen_certificate` is what TLS shows of the dialler."""
    if not isinstance(message, Hello):
        raise HandshakeFailed(RefusalReason.PROTOCOL, "expected a hello", got=type(message).__name__)
    _require_same_chain(local, message)
    if message.certificate != seen_certificate:
        raise HandshakeFailed(
            RefusalReason.BAD_SIGNATURE, "hello names another certificate than TLS shows", named=message.certificate
        )
    return message


def require_good_welcome(local: LocalPeer, hello: Hello, message: HandshakeMessage) -> Welcome:
    """The listener's Welcome, if it signed exactly our `hello` and its own introduction."""
    if isinstance(message, Refusal):
        raise HandshakeRefused(message.reason)
    if not isinstance(message, Welcome):
        raise HandshakeFailed(RefusalReason.PROTOCOL, "expected a welcome", got=type(message).__name__)
    _require_same_chain(local, message)
    signed = _compute_transcript(_LISTENER, local.genesis_hash, hello, message)
    if not ed25519.verify(message.node_id, signed, message.signature):
        raise HandshakeFailed(RefusalReason.BAD_SIGNATURE, "listener's signature does not hold", peer=message.node_id)
    return message


def require_good_proof(local: LocalPeer, hello: Hello, welcome: Welcome, message: HandshakeMessage) -> RemotePeer:
    """The dialler, if it signed exactly this exchange."""
    if isinstance(message, Refusal):
        raise HandshakeRefused(message.reason)
    if not isinstance(message, Proof):
        raise HandshakeFailed(RefusalReason.PROTOCOL, "expected a proof", got=type(message).__name__)
    signed = _compute_transcript(_DIALLER, local.genesis_hash, hello, welcome)
    if not ed25519.verify(hello.node_id, signed, message.signature):
        raise HandshakeFailed(RefusalReason.BAD_SIGNATURE, "dialler's signature does not hold", peer=hello.node_id)
    return build_remote(hello)


def build_remote(introduction: Hello | Welcome) -> RemotePeer:
    """What a checked introduction says of its sender."""
    return RemotePeer(introduction.node_id, introduction.instance, introduction.certificate, introduction.address)


def _require_same_chain(local: LocalPeer, introduction: Hello | Welcome) -> None:
    if introduction.version != PROTOCOL_VERSION:
        raise HandshakeFailed(
            RefusalReason.WRONG_VERSION, "peer speaks another version", ours=PROTOCOL_VERSION, its=introduction.version
        )
    if introduction.genesis_hash != local.genesis_hash:
        raise HandshakeFailed(
            RefusalReason.WRONG_CHAIN, "peer is on another chain", ours=local.genesis_hash,
            its=introduction.genesis_hash,
        )  # fmt: skip
    if introduction.node_id == local.node_id:
        raise HandshakeFailed(RefusalReason.SELF, "peer is this node itself", node_id=local.node_id)


def _compute_transcript(role: bytes, genesis_hash: Hash, hello: Hello, welcome: Welcome) -> bytes:
    introductions = sha256(_HELLO.encode(hello)) + sha256(_WELCOME.encode(_with_signature(welcome, bytes(64))))
    return compute_handshake_bytes(genesis_hash, role + introductions)


def _with_signature(welcome: Welcome, signature: bytes) -> Welcome:
    return Welcome(
        welcome.version, welcome.genesis_hash, welcome.node_id, welcome.instance, welcome.certificate, welcome.nonce,
        welcome.address, signature,
    )  # fmt: skip
