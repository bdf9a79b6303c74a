"""Which node a verb talks to, and whose key it signs with.

Knows the folder of a node, node.toml's API address, key files and passwords. Never prints a secret.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from flockchain.cli.exit_codes import NotFound, UserMistake
from flockchain.primitives.numbers import AccountId, Hash

if TYPE_CHECKING:
    from flockchain.client import Account, Client

__all__ = [
    "NODE_KEY",
    "PASSWORD_VARIABLE",
    "HomeOption",
    "KeyFileOption",
    "KeyOption",
    "NodeOption",
    "PasswordOption",
    "TimeoutOption",
    "connect",
    "get_key_path",
    "load_account",
    "parse_account",
    "parse_hash",
    "read_password",
    "resolve_home",
    "resolve_nodes",
]  # fmt: skip

PASSWORD_VARIABLE: Final = "FLOCKCHAIN_PASSWORD"
NODE_KEY: Final = "node"  # the key file of the node itself
_DEFAULT_NODE: Final = "127.0.0.1:9701"

HomeOption = Annotated[
    Path | None, typer.Option("--home", metavar="DIR", help="The node's folder. [default: ~/.flockchain]")
]
NodeOption = Annotated[
    list[str] | None,
    typer.Option("--node", metavar="HOST:PORT", help="A node's API; may be given more than once. [default: --home's]"),
]
KeyOption = Annotated[str | None, typer.Option("--key", metavar="NAME", help="Sign with this key of --home.")]
KeyFileOption = Annotated[
    Path | None, typer.Option("--key-file", metavar="FILE", help="Sign with the seed in this file, 64 hex digits.")
]
PasswordOption = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE", help="Where the key's password is. [default: asks]"),
]
TimeoutOption = Annotated[int, typer.Option("--timeout-s", min=1, help="How long to wait, in seconds.")]


def resolve_home(home: Path | None) -> Path:
    """The node's folder: what was asked for, or `.flockchain` in the user's home."""
    return (home or Path.home() / ".flockchain").expanduser()


def connect(nodes: list[str] | None, home: Path | None) -> Client:
    """A client of `nodes`, of the node in `home`, or of the usual port on this machine; close it by `with`."""
    from flockchain.client import Client

    return Client(*resolve_nodes(nodes, home))


def resolve_nodes(nodes: list[str] | None, home: Path | None) -> list[str]:
    """The API addresses to talk to: what was asked for, or that of the node in `home`."""
    return nodes or [_get_api_address(resolve_home(home))]


def get_key_path(home: Path, name: str) -> Path:
    """Where the account key `name` of a home is."""
    if not name or not all(letter.isalnum() or letter in "-_." for letter in name) or name.startswith("."):
        raise UserMistake("a key's name has letters, digits, '-', '_' and '.'", name=name)
    return home / "keys" / f"{name}.json"


def load_account(home: Path | None, key: str | None, key_file: Path | None, password_file: Path | None) -> Account:
    """The account to sign with: a seed in a file, a named key, or the only key that there is."""
    from flockchain.client import Account
    from flockchain.crypto.keystore import KeyRole, KeyStore

    if key_file is not None:
        return Account.from_file(key_file)
    folder = resolve_home(home)
    name = key or _get_only_key(folder)
    store = KeyStore(get_key_path(folder, name))
    if not store.exists():
        raise NotFound("there is no such key", key=name, hint="flockchain keys list")
    secrets = store.unlock(read_password(password_file, folder if name == NODE_KEY else None))
    if KeyRole.ACCOUNT not in secrets:
        raise NotFound("this keystore holds no account", key=key, hint="flockchain keys list")
    return Account(secrets[KeyRole.ACCOUNT])


def read_password(password_file: Path | None, node_home: Path | None = None, *, is_new: bool = False) -> str:
    """From the file, the environment, the node's own folder, or the person at the terminal (twice if it is new)."""
    if password_file is not None:
        return password_file.read_text(encoding="utf-8").rstrip("\r\n")
    if os.environ.get(PASSWORD_VARIABLE):
        return os.environ[PASSWORD_VARIABLE]
    if node_home is not None and (node_home / "password").exists():
        return (node_home / "password").read_text(encoding="utf-8").rstrip("\r\n")
    answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=is_new, err=True)
    return answer


def parse_account(text: str, home: Path | None = None) -> AccountId:
    """An account: 64 hex digits, or the name of a key of `home`."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) == 32:
        return AccountId(raw)
    from flockchain.crypto.keystore import KeyRole, KeyStore

    store = KeyStore(get_key_path(resolve_home(home), text))
    if store.exists():
        for entry in store.list():
            if entry.role is KeyRole.ACCOUNT:
                return AccountId(entry.public_key)
    raise UserMistake("an account is 64 hex digits or the name of a key", got=text, hint="flockchain keys list")


def parse_hash(text: str, what: str) -> Hash:
    """A hash: 64 hex digits."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise UserMistake(f"{what} is 64 hex digits", got=text)
    return Hash(raw)


def _get_only_key(home: Path) -> str:
    names = sorted(path.stem for path in (home / "keys").glob("*.json"))
    if len(names) != 1:
        raise UserMistake("say which key signs", keys=", ".join(names) or "none", hint="--key NAME or --key-file FILE")
    return names[0]


def _get_api_address(home: Path) -> str:
    from flockchain.node.config import decode_config

    file = home / "node.toml"
    return decode_config(file.read_bytes()).api.listen if file.exists() else _DEFAULT_NODE
