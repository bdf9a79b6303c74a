"""`flockchain update`: submit a trained update, and follow it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flockchain.cli.connection import (
    HomeOption,
    KeyFileOption,
    KeyOption,
    NodeOption,
    PasswordOption,
    TimeoutOption,
    connect,
    load_account,
    parse_hash,
)
from flockchain.cli.output import Output, OutputFormat, print_record
from flockchain.cli.task import TaskArgument

__all__ = ["Stage", "app", "show", "submit"]

app = typer.Typer(name="update", help="Updates: what trainers hand in.", no_args_is_help=True)


class Stage(StrEnum):
    """How long to wait for an update."""

    INCLUDED = "included"
    CLOSED = "closed"
    JUDGED = "judged"
    ADVANCED = "advanced"


@app.command("submit")
def submit(
    task: TaskArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The update's bytes.")],
    wait: Annotated[Stage, typer.Option("--wait", help="Return when it has come so far.")] = Stage.INCLUDED,
    timeout_s: TimeoutOption = 600, home: HomeOption = None, node: NodeOption = None, key: KeyOption = None,
    key_file: KeyFileOption = None, password_file: PasswordOption = None, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Upload an update and commit to it; the same bytes again are the same update."""
    account = load_account(home, key, key_file, password_file)
    with connect(node, home) as client:
        handle = client.updates.submit(task, file.read_bytes(), account=account)
        print_record(handle.wait(wait.value, timeout_s=timeout_s), output)


@app.command("show")
def show(
    task: TaskArgument,
    digest: Annotated[str, typer.Argument(metavar="DIGEST", help="SHA-256 of the update's bytes.")],
    home: HomeOption = None, node: NodeOption = None, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Which round an update is in, and its verdict."""
    with connect(node, home) as client:
        print_record(client.updates.find(task, parse_hash(digest, "an update's digest")), output)
