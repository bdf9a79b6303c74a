"""Who signs: an account's ed25519 key, from a seed, a file or a keystore.

Anything with `account` and `sign` can take its place, a hardware key for instance.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from flockchain.crypto import ed25519
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.numbers import AccountId

__all__ = ["Account", "Signer"]

_SEED_BYTES = 32


class Signer(Protocol):
    """Holds one account's key, or knows who does."""

    @property
    def account(self) -> AccountId: ...

    def sign(self, message: bytes) -> bytes:
        """The account's ed25519 signature, 64 bytes."""


class Account:
    """A signer with its key in memory. Its `str` is the public account in hex; the seed is never shown."""

    __slots__ = ("_seed", "account")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != _SEED_BYTES:
            raise InvalidInput("an account's seed has 32 bytes", got=len(seed))
        self._seed = seed
        self.account = AccountId(ed25519.get_public_key(seed))

    @classmethod
    def generate(cls) -> Account:
        return cls(ed25519.generate_seed())

    @classmethod
    def from_hex(cls, seed: str) -> Account:
        try:
            return cls(bytes.fromhex(seed.strip()))
        except ValueError:
            raise InvalidInput("an account's seed is 64 hexadecimal digits") from None

    @classmethod
    def from_file(cls, path: str | Path) -> Account:
        """From a file with the seed in hex."""
        return cls.from_hex(Path(path).read_text(encoding="ascii"))

    def sign(self, message: bytes) -> bytes:
        return ed25519.sign(self._seed, message)

    def __repr__(self) -> str:
        return f"Account({self.account.hex()})"

    def __str__(self) -> str:
        return self.account.hex()
