"""A signature scheme for simulated worlds: the interface of BLS at the price of a hash.

Anybody can compute anybody's signature from the public key, so it protects nothing; the simulator's
adversaries break the protocol's rules, not its cryptography. It keeps what consensus relies on:
signatures are unique, aggregation is order-free, an aggregate verifies for exactly its signers.
The same worlds run on real BLS with `--crypto real`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256

from flockchain.primitives.errors import InvalidInput

__all__ = ["SimulatedBls"]

_SIGNATURE_BYTES = 96
_PUBLIC_KEY_BYTES = 48


@lru_cache(maxsize=65_536)
def _compute_signature(public_key: bytes, message: bytes) -> int:
    digest = sha256(b"simulated signature" + public_key + message).digest()
    return int.from_bytes(digest * (_SIGNATURE_BYTES // len(digest)), "big")


class SimulatedBls:
    """`BlsBackend` over SHA-256: a signature is a hash of key and message, an aggregate their exclusive or."""

    def generate_secret_key(self, seed: bytes) -> bytes:
        return sha256(b"simulated secret" + seed).digest()

    def get_public_key(self, secret_key: bytes) -> bytes:
        return sha256(b"simulated public" + secret_key).digest() + bytes(_PUBLIC_KEY_BYTES - 32)

    def sign(self, secret_key: bytes, message: bytes) -> bytes:
        return _compute_signature(self.get_public_key(secret_key), message).to_bytes(_SIGNATURE_BYTES, "big")

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        return self.fast_aggregate_verify([public_key], message, signature)

    def aggregate(self, signatures: Sequence[bytes]) -> bytes:
        if not signatures:
            raise InvalidInput("there is nothing to aggregate")
        total = 0
        for signature in signatures:
            if len(signature) != _SIGNATURE_BYTES:
                raise InvalidInput("a signature has the wrong length", wanted=_SIGNATURE_BYTES, got=len(signature))
            total ^= int.from_bytes(signature, "big")
        return total.to_bytes(_SIGNATURE_BYTES, "big")

    def fast_aggregate_verify(self, public_keys: Sequence[bytes], message: bytes, signature: bytes) -> bool:
        if not public_keys or len(signature) != _SIGNATURE_BYTES:
            return False
        expected = 0
        for public_key in public_keys:
            expected ^= _compute_signature(bytes(public_key), message)
        return expected.to_bytes(_SIGNATURE_BYTES, "big") == signature

    def prove_possession(self, secret_key: bytes) -> bytes:
        return self.sign(secret_key, b"possession" + self.get_public_key(secret_key))

    def verify_possession(self, public_key: bytes, proof: bytes) -> bool:
        return self.verify(public_key, b"possession" + public_key, proof)
