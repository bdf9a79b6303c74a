"""What every BLS backend shares: the ciphersuite's tags and lengths, and key derivation.

BLS12-381 with public keys in G1 (48 bytes) and signatures in G2 (96 bytes), proof-of-possession
scheme. Source: draft-irtf-cfrg-bls-signature-05, sections 2.3, 3.3 and 4.2.3. No curve arithmetic here.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from flockchain.primitives.errors import InvalidInput

__all__ = [
    "GROUP_ORDER", "POSSESSION_TAG", "PUBLIC_KEY_BYTES", "SECRET_KEY_BYTES", "SEED_BYTES_MIN", "SIGNATURE_BYTES",
    "SIGNATURE_TAG", "InvalidBlsInput", "compute_secret_key", "is_bytes_of", "require_secret_scalar",
]  # fmt: skip

PUBLIC_KEY_BYTES: Final = 48
SIGNATURE_BYTES: Final = 96
SECRET_KEY_BYTES: Final = 32
SEED_BYTES_MIN: Final = 32
GROUP_ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
SIGNATURE_TAG: Final = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
POSSESSION_TAG: Final = b"BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
_KEYGEN_SALT: Final = b"BLS-SIG-KEYGEN-SALT-"
_KEYGEN_BYTES: Final = 48


class InvalidBlsInput(InvalidInput):
    """A key, seed or signature that no BLS operation accepts."""


def compute_secret_key(seed: bytes) -> bytes:
    """KeyGen of the draft (empty key_info): a secret key, 32 bytes big-endian, from at least 32 secret bytes."""
    if not isinstance(seed, bytes) or len(seed) < SEED_BYTES_MIN:
        raise InvalidBlsInput("a BLS key needs a seed of 32 bytes or more", got=len(seed))
    salt = _KEYGEN_SALT
    scalar = 0
    while scalar == 0:
        salt = hashlib.sha256(salt).digest()
        extracted = hmac.digest(salt, seed + b"\x00", "sha256")
        scalar = int.from_bytes(_expand(extracted, _KEYGEN_BYTES.to_bytes(2, "big"), _KEYGEN_BYTES), "big")
        scalar %= GROUP_ORDER
    return scalar.to_bytes(SECRET_KEY_BYTES, "big")


def require_secret_scalar(secret_key: bytes) -> int:
    """The scalar of a secret key: from 1 to the group's order minus 1, or `InvalidBlsInput`."""
    if not is_bytes_of(secret_key, SECRET_KEY_BYTES):
        raise InvalidBlsInput("a BLS secret key is 32 bytes", got=len(secret_key))
    scalar = int.from_bytes(secret_key, "big")
    if not 0 < scalar < GROUP_ORDER:
        raise InvalidBlsInput("a BLS secret key lies strictly between 0 and the order of the group")
    return scalar


def is_bytes_of(value: object, size_bytes: int) -> bool:
    """Whether `value` is bytes of exactly this length."""
    return isinstance(value, bytes) and len(value) == size_bytes


def _expand(key: bytes, info: bytes, size_bytes: int) -> bytes:
    """HKDF-Expand (RFC 5869) with SHA-256."""
    out = block = b""
    counter = 1
    while len(out) < size_bytes:
        block = hmac.digest(key, block + info + bytes([counter]), "sha256")
        out += block
        counter += 1
    return out[:size_bytes]
