"""Keys at rest: what the right password opens, and nothing else does."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from flockchain.crypto import bls, ed25519, keystore
from flockchain.crypto.keystore import KdfCost, KeyPresent, KeyRole, KeyStore, WrongPassword
from flockchain.primitives.errors import InvalidInput

CHEAP = KdfCost(operations=1, memory_bytes=8192)
PASSWORD = "correct horse"
SECRETS = {role: keystore.generate_secret(role) for role in KeyRole}


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    made = KeyStore(tmp_path / "keys.json")
    made.create(PASSWORD, SECRETS, cost=CHEAP)
    return made


@pytest.fixture
def file(tmp_path: Path, store: KeyStore) -> Path:
    return tmp_path / "keys.json"


def edit(file: Path, **changes: Any) -> None:
    document = json.loads(file.read_bytes())
    document.update(changes)
    file.write_text(json.dumps(document))


def test_the_password_gives_every_secret_back(store: KeyStore) -> None:
    assert store.unlock(PASSWORD) == SECRETS


def test_roles_and_public_keys_need_no_password(store: KeyStore) -> None:
    found = {entry.role: entry.public_key for entry in store.list()}
    assert set(found) == set(KeyRole)
    assert found[KeyRole.NODE] == ed25519.get_public_key(SECRETS[KeyRole.NODE])
    assert found[KeyRole.CONSENSUS] == bls.get_public_key(SECRETS[KeyRole.CONSENSUS])


def test_a_wrong_password_is_a_typed_refusal_even_without_keys(tmp_path: Path, store: KeyStore) -> None:
    with pytest.raises(WrongPassword):
        store.unlock("correct horsf")
    with pytest.raises(InvalidInput):
        store.unlock("")
    bare = KeyStore(tmp_path / "bare.json")
    bare.create(PASSWORD, cost=CHEAP)
    with pytest.raises(WrongPassword):
        bare.unlock("other")
    assert bare.unlock(PASSWORD) == {}


def test_the_file_holds_no_secret_and_only_its_owner_reads_it(file: Path) -> None:
    text = file.read_text()
    assert not any(secret.hex() in text for secret in SECRETS.values())
    assert PASSWORD not in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(file.parent) == [file.name]


def test_a_keystore_is_never_overwritten(store: KeyStore, file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(keystore.KeyStoreExists):
        store.create("another", cost=CHEAP)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


def test_keys_are_added_one_by_one_with_the_right_password(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "folder" / "keys.json")
    assert not store.exists()
    store.create(PASSWORD, cost=CHEAP)
    store.add(KeyRole.ACCOUNT, SECRETS[KeyRole.ACCOUNT], PASSWORD)
    with pytest.raises(WrongPassword):
        store.add(KeyRole.NODE, SECRETS[KeyRole.NODE], "wrong")
    store.add(KeyRole.CONSENSUS, SECRETS[KeyRole.CONSENSUS], PASSWORD)
    assert store.unlock(PASSWORD) == {role: SECRETS[role] for role in (KeyRole.ACCOUNT, KeyRole.CONSENSUS)}


def test_one_role_has_one_key_and_one_key_one_role(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.json")
    with pytest.raises(KeyPresent):
        store.create(PASSWORD, {KeyRole.NODE: bytes(32), KeyRole.SCORE: bytes(32)}, cost=CHEAP)
    assert not store.exists()
    store.create(PASSWORD, {KeyRole.NODE: bytes(32)}, cost=CHEAP)
    for role, secret in ((KeyRole.NODE, b"\x01" * 32), (KeyRole.ACCOUNT, bytes(32))):
        with pytest.raises(KeyPresent):
            store.add(role, secret, PASSWORD)
    assert store.unlock(PASSWORD) == {KeyRole.NODE: bytes(32)}


@pytest.mark.parametrize(("role", "secret"), [(KeyRole.NODE, b"short"), (KeyRole.CONSENSUS, bytes(32))])
def test_a_secret_that_its_curve_does_not_accept_is_refused(store: KeyStore, role: KeyRole, secret: bytes) -> None:
    with pytest.raises(InvalidInput):
        keystore.compute_public_key(role, secret)


def test_boxes_cannot_change_places(store: KeyStore, file: Path) -> None:
    keys = json.loads(file.read_bytes())["keys"]
    first, second = keys[0], keys[1]
    for name in ("nonce", "box"):
        first[name], second[name] = second[name], first[name]
    edit(file, keys=keys)
    with pytest.raises(keystore.KeyStoreDamaged, match="as its role"):
        store.unlock(PASSWORD)


def test_a_public_key_that_is_not_the_secrets_is_damage(store: KeyStore, file: Path) -> None:
    keys = json.loads(file.read_bytes())["keys"]
    keys[0]["public_key"] = "00" * 32
    edit(file, keys=keys)
    with pytest.raises(keystore.KeyStoreDamaged, match="of its public key"):
        store.unlock(PASSWORD)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2}, {"kdf": {"name": "scrypt"}}, {"kdf": None}, {"keys": 5}, {"keys": [{"role": "king"}]},
        {"check": {"nonce": "00", "box": "00"}}, {"check": {"nonce": "zz", "box": "00"}}, {"keys": [None]},
        {"kdf": {"name": "argon2id", "salt": "00" * 16, "operations": 99, "memory_bytes": 8192}},
        {"kdf": {"name": "argon2id", "salt": "00" * 16, "operations": 1, "memory_bytes": 2**40}},
        {"kdf": {"name": "argon2id", "salt": "00" * 15, "operations": 1, "memory_bytes": 8192}},
        {"kdf": {"name": "argon2id", "salt": 7, "operations": 1, "memory_bytes": 8192}},
        {"kdf": {"name": "argon2id", "salt": "00" * 16, "operations": True, "memory_bytes": 8192}},
    ],
    ids=str,
)  # fmt: skip
def test_a_file_that_is_not_a_keystore_is_damage(store: KeyStore, file: Path, change: dict[str, Any]) -> None:
    edit(file, **change)
    with pytest.raises(keystore.KeyStoreDamaged):
        store.list()


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"7", b"{}" * 40_000])
def test_other_bytes_are_damage(store: KeyStore, file: Path, data: bytes) -> None:
    file.write_bytes(data)
    with pytest.raises(keystore.KeyStoreDamaged):
        store.unlock(PASSWORD)


def test_a_role_that_stands_twice_is_damage(store: KeyStore, file: Path) -> None:
    keys = json.loads(file.read_bytes())["keys"]
    edit(file, keys=[*keys, keys[0]])
    with pytest.raises(keystore.KeyStoreDamaged):
        store.list()


def test_a_missing_file_and_a_file_open_to_others_are_faults(store: KeyStore, file: Path, tmp_path: Path) -> None:
    with pytest.raises(keystore.KeyStoreMissing):
        KeyStore(tmp_path / "none.json").list()
    file.chmod(0o640)
    with pytest.raises(keystore.KeyStoreExposed):
        store.unlock(PASSWORD)


def test_a_place_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(keystore.KeyStoreFailed):
        KeyStore(tmp_path / "file" / "keys.json").create(PASSWORD, cost=CHEAP)
