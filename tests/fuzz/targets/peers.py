"""What two nodes say before they trust each other, and the frames in which they talk."""

from __future__ import annotations

from collections.abc import Callable

from flockchain.crypto import ed25519
from flockchain.crypto.hashing import sha256
from flockchain.gossip.messages import BlockRequest, StatusMessage, encode_message
from flockchain.node.framing import pack_messages, unpack_messages
from flockchain.node.handshake import (
    HandshakeMessage,
    LocalPeer,
    build_hello,
    build_proof,
    build_welcome,
    decode_handshake,
    encode_handshake,
    require_good_hello,
    require_good_proof,
    require_good_welcome,
)
from flockchain.primitives.errors import InvalidInput, Refused
from flockchain.primitives.numbers import Epoch, Hash, Height, NodeId, View
from tests.fuzz.subject import Subject, Target

__all__ = ["TARGETS"]

CHAIN = Hash(sha256(b"chain"))


def build_frame_subject() -> Subject:
    """The payload of a frame: messages behind their lengths. What they say is judged one by one."""
    status = encode_message(StatusMessage(Height(7), Hash(sha256(b"head")), Epoch(1), View(4)))
    request = encode_message(BlockRequest(Hash(sha256(b"block"))))
    samples = (pack_messages([status]), pack_messages([status, request, request]))

    def accepts(messages: list[bytes]) -> bool:
        return any(not message for message in messages)  # an empty message is none

    return Subject(samples, unpack_messages, accepts, pack_messages)


def build_hello_subject() -> Subject:
    """The dialler's introduction: changed on the way, the handshake does not come to its end."""
    dialler, listener = _build_peer(b"dialler"), _build_peer(b"listener")
    hello = build_hello(dialler, Hash(sha256(b"nonce-1")))
    welcome = build_welcome(listener, hello, Hash(sha256(b"nonce-2")))
    proof = build_proof(dialler, hello, welcome)

    def accepts(message: HandshakeMessage) -> bool:
        heard = require_good_hello(listener, message, dialler.certificate)
        require_good_proof(listener, heard, welcome, proof)
        return True

    return _build_handshake_subject(hello, accepts)


def build_welcome_subject() -> Subject:
    """The listener's answer."""
    dialler, listener = _build_peer(b"dialler"), _build_peer(b"listener")
    hello = build_hello(dialler, Hash(sha256(b"nonce-1")))
    welcome = build_welcome(listener, hello, Hash(sha256(b"nonce-2")))
    return _build_handshake_subject(welcome, lambda message: bool(require_good_welcome(dialler, hello, message)))


def build_proof_subject() -> Subject:
    """The dialler's signature at the end."""
    dialler, listener = _build_peer(b"dialler"), _build_peer(b"listener")
    hello = build_hello(dialler, Hash(sha256(b"nonce-1")))
    welcome = build_welcome(listener, hello, Hash(sha256(b"nonce-2")))
    proof = build_proof(dialler, hello, welcome)
    return _build_handshake_subject(proof, lambda message: bool(require_good_proof(listener, hello, welcome, message)))


def _build_handshake_subject(message: HandshakeMessage, accepts: Callable[[HandshakeMessage], bool]) -> Subject:
    sample = encode_handshake(message)
    return Subject((sample,), decode_handshake, accepts, encode_handshake, (InvalidInput, Refused), is_verifier=True)


def _build_peer(name: bytes) -> LocalPeer:
    seed = sha256(name)
    node_id = NodeId(ed25519.get_public_key(seed))
    return LocalPeer(CHAIN, node_id, seed, sha256(name)[:16], Hash(sha256(b"certificate" + name)), "127.0.0.1:9700")


TARGETS = (
    Target("frame", build_frame_subject),
    Target("hello", build_hello_subject),
    Target("welcome", build_welcome_subject),
    Target("proof", build_proof_subject),
)
