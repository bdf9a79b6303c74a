"""Signatures of one node, counted: what a machine would have to compute for them."""

from __future__ import annotations

from collections.abc import Sequence

from flockchain.crypto.bls import BlsBackend

__all__ = ["CountedBls"]


class CountedBls:
    """`BlsBackend` that asks another one. A check of a signature or an aggregate is one product of two pairings."""

    def __init__(self, backend: BlsBackend) -> None:
        self._backend = backend
        self.checks = 0
        self.signatures = 0
        self.added = 0  # points added up in aggregates of signatures and of keys

    @property
    def pairings(self) -> int:
        return 2 * self.checks

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        self.checks += 1
        return self._backend.verify(public_key, message, signature)

    def fast_aggregate_verify(self, public_keys: Sequence[bytes], message: bytes, signature: bytes) -> bool:
        self.checks += 1
        self.added += len(public_keys)
        return self._backend.fast_aggregate_verify(public_keys, message, signature)

    def aggregate(self, signatures: Sequence[bytes]) -> bytes:
        self.added += len(signatures)
        return self._backend.aggregate(signatures)

    def sign(self, secret_key: bytes, message: bytes) -> bytes:
        self.signatures += 1
        return self._backend.sign(secret_key, message)

    def prove_possession(self, secret_key: bytes) -> bytes:
        return self._backend.prove_possession(secret_key)

    def verify_possession(self, public_key: bytes, proof: bytes) -> bool:
        self.checks += 1
        return self._backend.verify_possession(public_key, proof)

    def get_public_key(self, secret_key: bytes) -> bytes:
        return self._backend.get_public_key(secret_key)

    def generate_secret_key(self, seed: bytes) -> bytes:
        return self._backend.generate_secret_key(seed)
