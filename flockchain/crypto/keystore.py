"""Secret keys at rest: one file, one password, one key a role.

The password becomes a key by argon2id; each secret lies in a secretbox (XSalsa20-Poly1305) of its own,
together with its role, so that boxes cannot be exchanged. Public keys stand in the clear. JSON,
versioned, readable by the owner only. Of a role it knows the curve, not what the role is for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from nacl.bindings import crypto_secretbox, crypto_secretbox_NONCEBYTES, crypto_secretbox_open
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.utils import random as draw_bytes

from flockchain.crypto import bls, ed25519
from flockchain.primitives.errors import Fault, InvalidInput, Refused

__all__ = [
    "KDF_COST_DEFAULT", "KdfCost", "KeyEntry", "KeyPresent", "KeyRole", "KeyStore", "KeyStoreDamaged",
    "KeyStoreExists", "KeyStoreExposed", "KeyStoreFailed", "KeyStoreMissing", "WrongPassword", "compute_public_key",
    "generate_secret",
]  # fmt: skip


class WrongPassword(Refused):
    """The password does not open this keystore."""


class KeyPresent(Refused):
    """The role has a key already, or the key has a role already: one key never serves two."""


class KeyStoreExists(Refused):
    """A keystore is there already; it is never overwritten."""


class KeyStoreMissing(Fault):
    """There is no keystore at this path."""


class KeyStoreDamaged(Fault):
    """The file is not a keystore of this version, or does not add up."""


class KeyStoreExposed(Fault):
    """Other users of this machine may read or write the keystore."""


class KeyStoreFailed(Fault):
    """The disk refused to read or write the keystore."""


class KeyRole(StrEnum):
    """What a key is for; BLS for `consensus` and `certificate`, ed25519 for the others."""

    ACCOUNT = "account"
    NODE = "node"
    SCORE = "score"
    CONSENSUS = "consensus"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class KdfCost:
    """What one guess at the password costs: passes, and bytes of memory."""

    operations: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A key that the store holds, without its secret."""

    role: KeyRole
    public_key: bytes


@dataclass(frozen=True, slots=True)
class _Box:
    nonce: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class _Contents:
    cost: KdfCost
    salt: bytes
    check: _Box  # opens with the right password, also when there is no key yet
    entries: tuple[tuple[KeyEntry, _Box], ...]


KDF_COST_DEFAULT: Final = KdfCost(argon2id.OPSLIMIT_INTERACTIVE, argon2id.MEMLIMIT_INTERACTIVE)
_VERSION: Final = 1
_OPERATIONS_MAX: Final = 16  # what a file may ask of us at most
_MEMORY_BYTES_MAX: Final = 1 << 30
_FILE_BYTES_MAX: Final = 1 << 16
_CHECK_TEXT: Final = b"flockchain keystore"
_BLS_ROLES: Final = frozenset({KeyRole.CONSENSUS, KeyRole.CERTIFICATE})
_OTHERS: Final = 0o077


def generate_secret(role: KeyRole) -> bytes:
    """A new secret for a role: an ed25519 seed or a BLS secret key, 32 bytes."""
    seed = ed25519.generate_seed()
    return bls.generate_secret_key(seed) if role in _BLS_ROLES else seed


def compute_public_key(role: KeyRole, secret: bytes) -> bytes:
    """The public key of a role's secret. Raises `InvalidInput` for a secret that its curve does not accept."""
    return bls.get_public_key(secret) if role in _BLS_ROLES else ed25519.get_public_key(secret)


class KeyStore:
    """The keystore file at `path`. Reads it at each call; keeps no secret and no password."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def exists(self) -> bool:
        """Whether the file is there."""
        return self._path.exists()

    def create(
        self, password: str, secrets: Mapping[KeyRole, bytes] | None = None, *, cost: KdfCost = KDF_COST_DEFAULT
    ) -> None:
        """Write a new keystore with these secrets. Raises `KeyStoreExists`; `KeyPresent` if two are the same key."""
        salt = draw_bytes(argon2id.SALTBYTES)
        key = _derive_key(password, salt, cost)
        contents = _Contents(cost, salt, _seal(key, _CHECK_TEXT), ())
        for role, secret in (secrets or {}).items():
            contents = _with_key(contents, key, role, secret)
        self._write(contents, replace=False)

    def add(self, role: KeyRole, secret: bytes, password: str) -> None:
        """Add one key. Raises `KeyPresent`, `WrongPassword`."""
        contents = self._read()
        key = _open_check(contents, password)
        self._write(_with_key(contents, key, role, secret), replace=True)

    def list(self) -> tuple[KeyEntry, ...]:
        """Roles and public keys; needs no password."""
        return tuple([entry for entry, _ in self._read().entries])

    def unlock(self, password: str) -> dict[KeyRole, bytes]:
        """Every secret by role. Raises `WrongPassword`, or `KeyStoreDamaged` if a box is not what the file says."""
        contents = self._read()
        key = _open_check(contents, password)
        found: dict[KeyRole, bytes] = {}
        for entry, box in contents.entries:
            opened = _open(key, box)
            prefix = _role_prefix(entry.role)
            if opened is None or not opened.startswith(prefix):
                raise KeyStoreDamaged("a key's box does not open as its role", path=self._path, role=entry.role)
            secret = opened[len(prefix) :]
            if compute_public_key(entry.role, secret) != entry.public_key:
                raise KeyStoreDamaged("a secret is not of its public key", path=self._path, role=entry.role)
            found[entry.role] = secret
        return found

    def _read(self) -> _Contents:
        try:
            with self._path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                data = file.read(_FILE_BYTES_MAX + 1)
        except FileNotFoundError as error:
            raise KeyStoreMissing("there is no keystore here", path=self._path) from error
        except OSError as error:
            raise KeyStoreFailed("the keystore cannot be read", path=self._path, reason=error.strerror) from error
        if mode & _OTHERS:
            raise KeyStoreExposed("others may use this keystore: chmod 600", path=self._path, mode=oct(mode & 0o777))
        try:
            return _decode_contents(data)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidInput) as error:
            raise KeyStoreDamaged("the file is not a keystore", path=self._path, reason=str(error)) from error

    def _write(self, contents: _Contents, *, replace: bool) -> None:
        draft = self._path.with_name(self._path.name + ".tmp")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                _write_private(draft, _encode_contents(contents))
                if replace:
                    os.replace(draft, self._path)
                else:
                    _publish(draft, self._path)
            finally:
                with suppress(OSError):
                    draft.unlink(missing_ok=True)
            _sync_folder(self._path.parent)
        except OSError as error:
            raise KeyStoreFailed("the keystore cannot be written", path=self._path, reason=error.strerror) from error


def _with_key(contents: _Contents, key: bytes, role: KeyRole, secret: bytes) -> _Contents:
    public_key = compute_public_key(role, secret)
    for entry, _ in contents.entries:
        if entry.role == role or entry.public_key == public_key:
            raise KeyPresent("one key a role, one role a key", held=entry.role, added=role)
    added = (KeyEntry(role, public_key), _seal(key, _role_prefix(role) + secret))
    return _Contents(contents.cost, contents.salt, contents.check, (*contents.entries, added))


def _derive_key(password: str, salt: bytes, cost: KdfCost) -> bytes:
    if not password:
        raise InvalidInput("a keystore needs a password")
    return argon2id.kdf(32, password.encode("utf-8"), salt, opslimit=cost.operations, memlimit=cost.memory_bytes)


def _open_check(contents: _Contents, password: str) -> bytes:
    """The key that the password gives, if it is the right one."""
    key = _derive_key(password, contents.salt, contents.cost)
    if _open(key, contents.check) != _CHECK_TEXT:
        raise WrongPassword("the password does not open this keystore")
    return key


def _role_prefix(role: KeyRole) -> bytes:
    return role.value.encode("ascii") + b"\x00"


def _seal(key: bytes, plain: bytes) -> _Box:
    nonce = draw_bytes(crypto_secretbox_NONCEBYTES)
    return _Box(nonce, crypto_secretbox(plain, nonce, key))


def _open(key: bytes, box: _Box) -> bytes | None:
    try:
        return crypto_secretbox_open(box.sealed, box.nonce, key)
    except CryptoError:
        return None


def _encode_contents(contents: _Contents) -> bytes:
    document = {
        "version": _VERSION,
        "kdf": {
            "name": "argon2id",
            "salt": contents.salt.hex(),
            "operations": contents.cost.operations,
            "memory_bytes": contents.cost.memory_bytes,
        },
        "check": _encode_box(contents.check),
        "keys": [
            {"role": entry.role.value, "public_key": entry.public_key.hex(), **_encode_box(box)}
            for entry, box in contents.entries
        ],
    }
    return (json.dumps(document, indent=2) + "\n").encode("utf-8")


def _decode_contents(data: bytes) -> _Contents:
    """Raises ValueError, KeyError, TypeError or AttributeError for anything that is not a keystore."""
    if len(data) > _FILE_BYTES_MAX:
        raise ValueError("the file is too long")
    document = json.loads(data)
    kdf = document["kdf"]
    if document["version"] != _VERSION or kdf["name"] != "argon2id":
        raise ValueError("unknown version or key derivation")
    cost = KdfCost(kdf["operations"], kdf["memory_bytes"])
    if type(cost.operations) is not int or type(cost.memory_bytes) is not int:
        raise ValueError("a cost is an integer")
    if not 1 <= cost.operations <= _OPERATIONS_MAX:
        raise ValueError("a cost in passes is out of range")
    if not argon2id.MEMLIMIT_MIN <= cost.memory_bytes <= _MEMORY_BYTES_MAX:
        raise ValueError("a cost in memory is out of range")
    salt = _decode_hex(kdf["salt"], argon2id.SALTBYTES)
    entries: list[tuple[KeyEntry, _Box]] = []
    for item in document["keys"]:
        role = KeyRole(item["role"])
        size_bytes = bls.PUBLIC_KEY_BYTES if role in _BLS_ROLES else ed25519.PUBLIC_KEY_BYTES
        entries.append((KeyEntry(role, _decode_hex(item["public_key"], size_bytes)), _decode_box(item)))
    if len({entry.role for entry, _ in entries}) != len(entries):
        raise ValueError("a role stands twice")
    return _Contents(cost, salt, _decode_box(document["check"]), tuple(entries))


def _encode_box(box: _Box) -> dict[str, str]:
    return {"nonce": box.nonce.hex(), "box": box.sealed.hex()}


def _decode_box(item: Any) -> _Box:
    return _Box(_decode_hex(item["nonce"], crypto_secretbox_NONCEBYTES), bytes.fromhex(item["box"]))


def _decode_hex(text: str, size_bytes: int) -> bytes:
    data = bytes.fromhex(text)
    if len(data) != size_bytes:
        raise ValueError(f"{len(data)} bytes where {size_bytes} belong")
    return data


def _write_private(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _publish(draft: Path, path: Path) -> None:
    """Give a finished file its name, unless something has that name already."""
    try:
        os.link(draft, path)
    except FileExistsError as error:
        raise KeyStoreExists("a keystore is there already", path=path) from error


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
