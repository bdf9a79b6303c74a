"""The folder of one node: settings, genesis, keys and data, and how it is made. Nothing is overwritten unasked.

node.toml, genesis.toml          settings; what all nodes agree on
keys/node.json                   the node's five keys, encrypted (other account keys lie beside it)
password                         opens keys/node.json at an unattended start; only its owner may read it
data/chain                       the archive (LevelDB)
data/votes.journal, duties.journal   what was signed and promised
data/blobs                       updates, aggregates, suites
data/epochs                      validator sets of past epochs
data/lock                        one process at a time
"""

from __future__ import annotations

import os
import secrets as random_source
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flockchain.crypto.keystore import KeyRole, KeyStore, generate_secret
from flockchain.node.config import NodeConfig, decode_config, encode_config
from flockchain.primitives.errors import Fault, Refused
from flockchain.primitives.numbers import AccountId, NodeId
from flockchain.storage.disk import disk_faults, make_folder, replace_file

__all__ = [
    "KEY_NAME", "PASSWORD_VARIABLE", "Home", "HomeExists", "HomeIncomplete", "NodeSecrets", "PasswordMissing",
    "generate_secrets", "initialise_home",
]  # fmt: skip

KEY_NAME: Final = "node"
PASSWORD_VARIABLE: Final = "FLOCKCHAIN_PASSWORD"


class HomeExists(Refused):
    """There is a node in this folder already."""


class HomeIncomplete(Fault):
    """The folder lacks a file that a node needs."""


class PasswordMissing(Fault):
    """The keys are encrypted and no password is at hand."""


@dataclass(frozen=True, slots=True, repr=False)
class NodeSecrets:
    """The five keys of a node. Each has one role and only one."""

    account_seed: bytes
    node_seed: bytes
    score_seed: bytes
    consensus_secret: bytes
    certificate_secret: bytes


@dataclass(frozen=True, slots=True)
class Home:
    """Where everything of one node lies."""

    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / "node.toml"

    @property
    def genesis_file(self) -> Path:
        return self.path / "genesis.toml"

    @property
    def key_file(self) -> Path:
        return self.path / "keys" / f"{KEY_NAME}.json"

    @property
    def password_file(self) -> Path:
        return self.path / "password"

    @property
    def data(self) -> Path:
        return self.path / "data"

    def load_config(self) -> NodeConfig:
        """The settings. Raises `HomeIncomplete`, `BadNodeConfig`."""
        return decode_config(_read(self.config_file))

    def load_genesis_toml(self) -> bytes:
        """The genesis file's bytes. Raises `HomeIncomplete`."""
        return _read(self.genesis_file)

    def get_public_keys(self) -> dict[KeyRole, bytes]:
        """The node's public keys; needs no password."""
        return {entry.role: entry.public_key for entry in KeyStore(self.key_file).list()}

    def get_account(self) -> AccountId:
        """The account that the node acts for."""
        return AccountId(self.get_public_keys()[KeyRole.ACCOUNT])

    def get_node_id(self) -> NodeId:
        """The identity that peers see."""
        return NodeId(self.get_public_keys()[KeyRole.NODE])

    def load_password(self) -> str:
        """The password: from the environment, else from the file. Raises `PasswordMissing`."""
        password = os.environ.get(PASSWORD_VARIABLE)
        if password:
            return password
        if not self.password_file.exists():
            raise PasswordMissing(
                "no password for the node's keys", variable=PASSWORD_VARIABLE, file=self.password_file
            )
        return _read(self.password_file).decode("utf-8").rstrip("\n")

    def unlock(self, password: str) -> NodeSecrets:
        """The secret keys. Raises `WrongPassword`, `HomeIncomplete` or a fault of the keystore."""
        found = KeyStore(self.key_file).unlock(password)
        missing = [role for role in KeyRole if role not in found]
        if missing:
            raise HomeIncomplete("the node's keystore lacks keys", file=self.key_file, roles=", ".join(missing))
        return NodeSecrets(
            found[KeyRole.ACCOUNT], found[KeyRole.NODE], found[KeyRole.SCORE], found[KeyRole.CONSENSUS],
            found[KeyRole.CERTIFICATE],
        )  # fmt: skip


def generate_secrets() -> NodeSecrets:
    """Five fresh keys."""
    return NodeSecrets(
        generate_secret(KeyRole.ACCOUNT), generate_secret(KeyRole.NODE), generate_secret(KeyRole.SCORE),
        generate_secret(KeyRole.CONSENSUS), generate_secret(KeyRole.CERTIFICATE),
    )  # fmt: skip


def initialise_home(
    path: Path, genesis_toml: bytes, config: NodeConfig, node_secrets: NodeSecrets, password: str | None = None, *,
    is_forced: bool = False,
) -> Home:  # fmt: skip
    """Make a node's folder. Without a password a random one is drawn and kept in the folder, for unattended starts.

    Raises `HomeExists` if a node is there, unless forced; then settings, genesis and keys are replaced, and the old
    key file stays beside the new one under another name. Data is never touched.
    """
    home = Home(path)
    present = [file for file in (home.config_file, home.genesis_file, home.key_file) if file.exists()]
    if present and not is_forced:
        raise HomeExists("there is a node in this folder", file=present[0])
    make_folder(path)
    make_folder(home.key_file.parent)
    if home.key_file.exists():
        _put_aside(home.key_file)
    if password is None:
        password = random_source.token_hex(24)
        replace_file(home.password_file, password.encode("utf-8") + b"\n")
    KeyStore(home.key_file).create(password, _name_roles(node_secrets))
    replace_file(home.genesis_file, genesis_toml)
    replace_file(home.config_file, encode_config(config))
    return home


def _name_roles(node_secrets: NodeSecrets) -> Mapping[KeyRole, bytes]:
    return {
        KeyRole.ACCOUNT: node_secrets.account_seed,
        KeyRole.NODE: node_secrets.node_seed,
        KeyRole.SCORE: node_secrets.score_seed,
        KeyRole.CONSENSUS: node_secrets.consensus_secret,
        KeyRole.CERTIFICATE: node_secrets.certificate_secret,
    }


def _put_aside(file: Path) -> None:
    number = 1
    while (kept := file.with_name(f"{file.stem}.replaced-{number}")).exists():
        number += 1
    with disk_faults(file):
        os.rename(file, kept)


def _read(file: Path) -> bytes:
    try:
        with disk_faults(file):
            return file.read_bytes()
    except Fault as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise HomeIncomplete("the node's folder lacks a file; `flockchain init` makes one", file=file) from error
        raise
