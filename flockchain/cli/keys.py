"""`flockchain keys`: account keys in a node's folder, each in an encrypted file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flockchain.cli.connection import HomeOption, PasswordOption, get_key_path, read_password, resolve_home
from flockchain.cli.exit_codes import AlreadyThere, NotFound, UserMistake
from flockchain.cli.output import Output, OutputFormat, print_record, print_rows

__all__ = ["app", "export_public", "list_all", "new", "show"]

app = typer.Typer(name="keys", help="Account keys of this machine.", no_args_is_help=True)

KeyName = Annotated[str, typer.Argument(metavar="NAME")]
FromFile = Annotated[
    Path | None, typer.Option("--from-file", metavar="FILE", help="Keep the seed in this file, not a new one.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace a key of this name; what it owns is lost.")]


@app.command("new")
def new(
    name: KeyName, home: HomeOption = None, password_file: PasswordOption = None, from_file: FromFile = None,
    force: Force = False, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Make an account key, encrypted with a password."""
    from flockchain.crypto.keystore import KeyRole, KeyStore, compute_public_key, generate_secret

    path = get_key_path(resolve_home(home), name)
    if path.exists() and not force:
        raise AlreadyThere("there is a key of this name", key=name)
    secret = generate_secret(KeyRole.ACCOUNT) if from_file is None else _read_seed(from_file)
    password = read_password(password_file, is_new=True)
    path.unlink(missing_ok=True)
    KeyStore(path).create(password, {KeyRole.ACCOUNT: secret})
    print_record({"name": name, "account": compute_public_key(KeyRole.ACCOUNT, secret), "file": path}, output)


@app.command("list")
def list_all(home: HomeOption = None, output: Output = OutputFormat.HUMAN) -> None:
    """Names and accounts; needs no password."""
    files = sorted((resolve_home(home) / "keys").glob("*.json"))
    rows = [{"name": file.stem, **_read_public_keys(file)} for file in files]
    print_rows(rows, ["name", "account"], output, empty="no keys; `flockchain keys new NAME` makes one")


@app.command("show")
def show(name: KeyName, home: HomeOption = None, output: Output = OutputFormat.HUMAN) -> None:
    """The public keys of one file by role; needs no password."""
    file = _require_file(home, name)
    print_record({"name": name, **_read_public_keys(file), "file": file}, output)


@app.command("export-public")
def export_public(name: KeyName, home: HomeOption = None, output: Output = OutputFormat.HUMAN) -> None:
    """The account alone, for scripts."""
    account = _read_public_keys(_require_file(home, name))["account"]
    if output is OutputFormat.JSON:
        print_record({"account": account}, output)
    else:
        typer.echo(account.hex())


def _require_file(home: Path | None, name: str) -> Path:
    file = get_key_path(resolve_home(home), name)
    if not file.exists():
        raise NotFound("there is no such key", key=name, hint="flockchain keys list")
    return file


def _read_public_keys(file: Path) -> dict[str, bytes]:
    from flockchain.crypto.keystore import KeyStore

    return {entry.role.value: entry.public_key for entry in KeyStore(file).list()}


def _read_seed(file: Path) -> bytes:
    text = file.read_text(encoding="ascii", errors="replace").strip()
    try:
        seed = bytes.fromhex(text)
    except ValueError:
        seed = b""
    if len(seed) != 32:
        raise UserMistake("a seed is 64 hex digits in a file of its own", file=file)
    return seed
