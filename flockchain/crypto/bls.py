"""BLS12-381 signatures behind one interface: consensus votes, randomness reveals, aggregate certificates.

Public keys are 48 bytes, signatures 96, secret keys 32 (big-endian). The module's functions use the
default backend: arkworks where it installs, else py-ecc; both give the same bytes and the same answers.
Identity keys and signatures, aggregates that are the identity, empty lists, wrong lengths,
non-canonical encodings and points outside the prime-order subgroup are never accepted: the `verify`
functions answer False, `aggregate` and what takes a secret key raise `InvalidBlsInput`.

A fast aggregate is safe only over keys whose possession was verified (rogue keys): whoever registers a
key must call `verify_possession`. This module does not know which keys are registered.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Protocol

from flockchain.crypto.bls_suite import (
    PUBLIC_KEY_BYTES,
    SECRET_KEY_BYTES,
    SIGNATURE_BYTES,
    InvalidBlsInput,
    compute_secret_key,
)

__all__ = [
    "PUBLIC_KEY_BYTES", "SECRET_KEY_BYTES", "SIGNATURE_BYTES", "BlsBackend", "InvalidBlsInput", "aggregate",
    "fast_aggregate_verify", "generate_secret_key", "get_default_backend", "get_public_key", "prove_possession",
    "sign", "verify", "verify_possession",
]  # fmt: skip


class BlsBackend(Protocol):
    """The operations every backend has; the functions of this module say what each means."""

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool: ...

    def fast_aggregate_verify(self, public_keys: Sequence[bytes], message: bytes, signature: bytes) -> bool: ...

    def aggregate(self, signatures: Sequence[bytes]) -> bytes: ...

    def sign(self, secret_key: bytes, message: bytes) -> bytes: ...

    def prove_possession(self, secret_key: bytes) -> bytes: ...

    def verify_possession(self, public_key: bytes, proof: bytes) -> bool: ...

    def get_public_key(self, secret_key: bytes) -> bytes: ...

    def generate_secret_key(self, seed: bytes) -> bytes: ...


@cache
def get_default_backend() -> BlsBackend:
    """Arkworks if it can be imported, else py-ecc. Imported at the first call, not with this module."""
    try:
        from flockchain.crypto.bls_arkworks import ArkworksBackend
    except ImportError:
        from flockchain.crypto.bls_py_ecc import PyEccBackend

        return PyEccBackend()
    return ArkworksBackend()


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is the key's over `message`. Anything malformed is False."""
    return get_default_backend().verify(public_key, message, signature)


def fast_aggregate_verify(public_keys: Sequence[bytes], message: bytes, signature: bytes) -> bool:
    """Whether `signature` aggregates one signature of each key over the same `message`. Malformed or empty: False."""
    return get_default_backend().fast_aggregate_verify(public_keys, message, signature)


def aggregate(signatures: Sequence[bytes]) -> bytes:
    """The sum of `signatures`. Raises `InvalidBlsInput` if there are none, one is malformed, or they cancel out."""
    return get_default_backend().aggregate(signatures)


def sign(secret_key: bytes, message: bytes) -> bytes:
    """The signature of `message`; the same bytes each time."""
    return get_default_backend().sign(secret_key, message)


def prove_possession(secret_key: bytes) -> bytes:
    """A proof that its maker holds the secret key: a signature over the public key under a tag of its own."""
    return get_default_backend().prove_possession(secret_key)


def verify_possession(public_key: bytes, proof: bytes) -> bool:
    """Whether `proof` is the key's own proof of possession. Anything malformed is False."""
    return get_default_backend().verify_possession(public_key, proof)


def get_public_key(secret_key: bytes) -> bytes:
    """The public key of a secret key."""
    return get_default_backend().get_public_key(secret_key)


def generate_secret_key(seed: bytes) -> bytes:
    """The secret key that a seed of at least 32 secret bytes gives (KeyGen of the draft)."""
    return compute_secret_key(seed)
