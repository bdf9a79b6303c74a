"""`flockchain tx`: pay, call anything, and see what became of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flockchain.cli.connection import (
    HomeOption,
    KeyFileOption,
    KeyOption,
    NodeOption,
    PasswordOption,
    connect,
    load_account,
    parse_account,
    parse_hash,
)
from flockchain.cli.exit_codes import UserMistake
from flockchain.cli.output import Output, OutputFormat, print_record

if TYPE_CHECKING:
    from flockchain.client import Account, CallRequest

__all__ = ["AmountArgument", "NoWaitOption", "Sending", "app", "call", "parse_amount", "send", "show", "transfer"]

app = typer.Typer(name="tx", help="Extrinsics: signed calls into the chain.", no_args_is_help=True)

NoWaitOption = Annotated[bool, typer.Option("--no-wait", help="Do not wait until a block has it.")]
AmountArgument = Annotated[
    str, typer.Argument(metavar="AMOUNT", help="In FLOCK, such as 2.5; or base units, such as 7u.")
]
_DECIMALS = 9


def parse_amount(text: str) -> int:
    """Base units of `2.5` (FLOCK) or `7u` (base units)."""
    is_base = text.endswith("u")
    whole, point, part = text.removesuffix("u").partition(".")
    digits = (whole or "0") + part.ljust(_DECIMALS, "0") if not is_base else whole
    is_wrong = (is_base and point) or len(part) > _DECIMALS or not (whole or part) or (point and not part)
    if is_wrong or not (digits.isascii() and digits.isdecimal()):
        raise UserMistake("an amount is FLOCK with at most nine decimals, or base units with a u", got=text)
    return int(digits)


@dataclass(frozen=True, slots=True)
class Sending:
    """The options of every verb that signs."""

    home: Path | None
    node: list[str] | None
    key: str | None
    key_file: Path | None
    password_file: Path | None
    no_wait: bool
    output: OutputFormat


def send(request: CallRequest, sending: Sending, account: Account | None = None) -> None:
    """Sign and submit a call, wait until it is final, and print what became of it."""
    signer = account or load_account(sending.home, sending.key, sending.key_file, sending.password_file)
    with connect(sending.node, sending.home) as client:
        handle = client.extrinsics.submit(request, account=signer)
        if sending.no_wait:
            print_record({"extrinsic_hash": handle.extrinsic_hash, "sender": signer.account}, sending.output)
        else:
            print_record(handle.wait(), sending.output)


@app.command("transfer")
def transfer(
    to: Annotated[str, typer.Argument(metavar="TO", help="An account, or the name of a key.")],
    amount: AmountArgument,
    home: HomeOption = None, node: NodeOption = None, key: KeyOption = None, key_file: KeyFileOption = None,
    password_file: PasswordOption = None, no_wait: NoWaitOption = False, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Pay an account."""
    from flockchain.client import calls

    request = calls.transfer(parse_account(to, home), parse_amount(amount))
    send(request, Sending(home, node, key, key_file, password_file, no_wait, output))


@app.command("call")
def call(
    pallet: Annotated[str, typer.Argument(metavar="PALLET")],
    name: Annotated[str, typer.Argument(metavar="CALL")],
    args: Annotated[str, typer.Option("--args", metavar="JSON", help="Arguments by name; bytes as hex.")] = "{}",
    home: HomeOption = None, node: NodeOption = None, key: KeyOption = None, key_file: KeyFileOption = None,
    password_file: PasswordOption = None, no_wait: NoWaitOption = False, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Call any call of any pallet by name."""
    from flockchain.client import CallRequest

    request = CallRequest(f"{pallet}.{name}", _parse_arguments(args))
    send(request, Sending(home, node, key, key_file, password_file, no_wait, output))


@app.command("show")
def show(
    extrinsic_hash: Annotated[str, typer.Argument(metavar="HASH")],
    home: HomeOption = None, node: NodeOption = None, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Where an extrinsic is, and what it did."""
    with connect(node, home) as client:
        print_record(client.extrinsics.get(parse_hash(extrinsic_hash, "an extrinsic's hash")), output)


def _parse_arguments(text: str) -> dict[str, Any]:
    try:
        arguments = json.loads(text)
    except ValueError as error:
        raise UserMistake("--args is one JSON object", reason=str(error)) from error
    if not isinstance(arguments, dict):
        raise UserMistake("--args is one JSON object", got=type(arguments).__name__)
    return arguments
