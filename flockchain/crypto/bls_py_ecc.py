"""BLS by py-ecc (pure Python): the reference that tests compare with, and the backend where no native one installs.

About 260 ms a verification. It uses py-ecc's curve and not its ciphersuite class, which aggregates
points outside the subgroup and lets some malformed lists end in an exception.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from flockchain.crypto.bls_suite import (
    POSSESSION_TAG,
    PUBLIC_KEY_BYTES,
    SIGNATURE_BYTES,
    SIGNATURE_TAG,
    InvalidBlsInput,
    compute_secret_key,
    is_bytes_of,
    require_secret_scalar,
)

_RECURSION_LIMIT = sys.getrecursionlimit()

from py_ecc.bls.g2_primitives import (  # noqa: E402
    G1_to_pubkey,
    G2_to_signature,
    pubkey_to_G1,
    signature_to_G2,
    subgroup_check,
)
from py_ecc.bls.hash_to_curve import hash_to_G2  # noqa: E402
from py_ecc.fields import optimized_bls12_381_FQ12  # noqa: E402
from py_ecc.optimized_bls12_381.optimized_curve import G1, Z1, Z2, add, is_inf, multiply, neg  # noqa: E402
from py_ecc.optimized_bls12_381.optimized_pairing import final_exponentiate, pairing  # noqa: E402

sys.setrecursionlimit(_RECURSION_LIMIT)  # py_ecc lifts it to 100,000, where deeply nested input ends the process

__all__ = ["PyEccBackend"]

_KEYS_CACHED: Final = 1024
_MALFORMED: Final = (ValueError, AssertionError)  # py-ecc's ValidationError is a ValueError

Point = Any  # py-ecc's points are untyped triples of field elements


class PyEccBackend:
    """`BlsBackend` over py_ecc. Holds no state of its own; the cache is bounded."""

    __slots__ = ()

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        key = _parse_public_key(public_key)
        return key is not None and _verify_point(key, message, signature, SIGNATURE_TAG)

    def fast_aggregate_verify(self, public_keys: Sequence[bytes], message: bytes, signature: bytes) -> bool:
        total: Point = Z1
        for public_key in public_keys:
            key = _parse_public_key(public_key)
            if key is None:
                return False
            total = add(total, key)
        # The identity stands for an empty list as well as for keys that cancel out.
        return not is_inf(total) and _verify_point(total, message, signature, SIGNATURE_TAG)

    def aggregate(self, signatures: Sequence[bytes]) -> bytes:
        if not signatures:
            raise InvalidBlsInput("there is no signature to aggregate")
        total: Point = Z2
        for position, signature in enumerate(signatures):
            point = _parse_signature(signature)
            if point is None:
                raise InvalidBlsInput("a signature to aggregate is malformed", position=position)
            total = add(total, point)
        if is_inf(total):
            raise InvalidBlsInput("the signatures cancel out", count=len(signatures))
        return bytes(G2_to_signature(total))

    def sign(self, secret_key: bytes, message: bytes) -> bytes:
        return _sign_tagged(secret_key, message, SIGNATURE_TAG)

    def prove_possession(self, secret_key: bytes) -> bytes:
        return _sign_tagged(secret_key, self.get_public_key(secret_key), POSSESSION_TAG)

    def verify_possession(self, public_key: bytes, proof: bytes) -> bool:
        key = _parse_public_key(public_key)
        return key is not None and _verify_point(key, public_key, proof, POSSESSION_TAG)

    def get_public_key(self, secret_key: bytes) -> bytes:
        return bytes(G1_to_pubkey(multiply(G1, require_secret_scalar(secret_key))))

    def generate_secret_key(self, seed: bytes) -> bytes:
        return compute_secret_key(seed)


def _sign_tagged(secret_key: bytes, message: bytes, tag: bytes) -> bytes:
    scalar = require_secret_scalar(secret_key)
    return bytes(G2_to_signature(multiply(_hash_to_point(message, tag), scalar)))


def _verify_point(key: Point, message: bytes, signature: bytes, tag: bytes) -> bool:
    """e(H(message), −key) · e(signature, generator) = 1, for a key that is already valid."""
    if not isinstance(message, bytes):
        return False
    point = _parse_signature(signature)
    if point is None:
        return False
    product = pairing(point, G1, final_exponentiate=False)
    product = product * pairing(_hash_to_point(message, tag), neg(key), final_exponentiate=False)
    return bool(final_exponentiate(product) == optimized_bls12_381_FQ12.one())


def _parse_public_key(data: bytes) -> Point | None:
    """A canonical point of the prime-order subgroup, not the identity; None for anything else."""
    return _parse_key_bytes(data) if is_bytes_of(data, PUBLIC_KEY_BYTES) else None


@lru_cache(maxsize=_KEYS_CACHED)
def _parse_key_bytes(data: bytes) -> Point | None:
    try:
        point: Point = pubkey_to_G1(data)  # type: ignore[arg-type]
    except _MALFORMED:
        return None
    if is_inf(point) or not subgroup_check(point):
        return None
    return point if bytes(G1_to_pubkey(point)) == data else None


def _parse_signature(data: bytes) -> Point | None:
    """A canonical point of the prime-order subgroup, not the identity; None for anything else."""
    if not is_bytes_of(data, SIGNATURE_BYTES):
        return None
    try:
        point: Point = signature_to_G2(data)  # type: ignore[arg-type]
    except _MALFORMED:
        return None
    if is_inf(point) or not subgroup_check(point):
        return None
    return point if bytes(G2_to_signature(point)) == data else None


def _hash_to_point(message: bytes, tag: bytes) -> Point:
    return hash_to_G2(message, tag, sha256)  # type: ignore[arg-type]
