"""ed25519 by libsodium only: another library accepts other edge cases and would fork the chain (PROTOCOL §1).

Seeds and public keys are 32 bytes, signatures 64. Knows nothing of what is signed: see `signing`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from nacl.bindings import crypto_sign, crypto_sign_BYTES, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import CryptoError
from nacl.utils import random as draw_bytes

from flockchain.primitives.errors import InvalidInput

__all__ = ["PUBLIC_KEY_BYTES", "SEED_BYTES", "SIGNATURE_BYTES", "generate_seed", "get_public_key", "sign", "verify"]

SEED_BYTES: Final = 32
PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = crypto_sign_BYTES

_REMEMBERED: Final = 4096  # what gossip brought is verified again in the block that carries it
_REMEMBERED_BYTES: Final = 1024  # what is longer is not worth its room


def generate_seed() -> bytes:
    """A new secret seed from the operating system's randomness. For keys only, never inside the protocol."""
    return draw_bytes(SEED_BYTES)


def get_public_key(seed: bytes) -> bytes:
    """The public key of a seed. Raises `InvalidInput` for a seed of another length."""
    return _expand(seed)[0]


def sign(seed: bytes, message: bytes) -> bytes:
    """The signature of `message`; the same bytes each time."""
    return crypto_sign(message, _expand(seed)[1])[:SIGNATURE_BYTES]


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is the key's over `message`. Anything malformed is False."""
    if not (_is_bytes(public_key, PUBLIC_KEY_BYTES) and _is_bytes(signature, SIGNATURE_BYTES)):
        return False
    if not isinstance(message, bytes):
        return False
    verify_exactly = _verify_remembered if len(message) <= _REMEMBERED_BYTES else _verify
    return verify_exactly(public_key, message, signature)


def _verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        crypto_sign_open(signature + message, public_key)
    except CryptoError:
        return False
    return True


_verify_remembered = lru_cache(maxsize=_REMEMBERED)(_verify)


def _expand(seed: bytes) -> tuple[bytes, bytes]:
    if not _is_bytes(seed, SEED_BYTES):
        raise InvalidInput("an ed25519 seed is 32 bytes", got=len(seed))
    return crypto_sign_seed_keypair(seed)


def _is_bytes(value: object, size_bytes: int) -> bool:
    return isinstance(value, bytes) and len(value) == size_bytes
