"""`flockchain task`: create a learning task, and see those that there are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flockchain.cli.connection import (
    HomeOption,
    KeyFileOption,
    KeyOption,
    NodeOption,
    PasswordOption,
    connect,
    load_account,
)
from flockchain.cli.output import Output, OutputFormat, print_record, print_rows

__all__ = ["TaskArgument", "app", "create", "list_all", "show"]

app = typer.Typer(name="task", help="Tasks: what a chain is asked to learn.", no_args_is_help=True)

TaskArgument = Annotated[int, typer.Argument(metavar="TASK", min=0, help="The task's number.")]

SpecArgument = Annotated[
    Path, typer.Argument(metavar="SPEC", exists=True, dir_okay=False, help="What the task fixes, as TOML.")
]
SuiteOption = Annotated[
    Path, typer.Option("--suite", metavar="FILE", exists=True, dir_okay=False, help="Evaluation rows, as JSON lines.")
]


@app.command("create")
def create(
    spec_file: SpecArgument,
    suite: SuiteOption,
    home: HomeOption = None, node: NodeOption = None, key: KeyOption = None, key_file: KeyFileOption = None,
    password_file: PasswordOption = None, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Upload the suite, create the task and fund its pool."""
    from flockchain.client.task_file import decode_task_file

    rows = suite.read_bytes()
    spec = decode_task_file(spec_file.read_bytes(), rows)
    account = load_account(home, key, key_file, password_file)
    with connect(node, home) as client:
        client.blobs.put(rows)
        print_record(client.tasks.create(spec, account=account), output)


@app.command("list")
def list_all(home: HomeOption = None, node: NodeOption = None, output: Output = OutputFormat.HUMAN) -> None:
    """All tasks, oldest first."""
    with connect(node, home) as client:
        records = client.tasks.list()
    if output is OutputFormat.JSON:
        print_rows(records, [], output, empty="")
        return
    rows = [
        {"task": record.task, "name": record.spec.name, "status": record.status, "round": record.round,
         "rounds": record.spec.rounds, "advanced": record.rounds_advanced, "pool_left": record.pool_left}
        for record in records
    ]  # fmt: skip
    columns = ["task", "name", "status", "round", "rounds", "advanced", "pool_left"]
    print_rows(rows, columns, output, empty="no tasks; `flockchain task create --help`")


@app.command("show")
def show(
    task: TaskArgument, home: HomeOption = None, node: NodeOption = None, output: Output = OutputFormat.HUMAN
) -> None:
    """What a task fixes, and how far it is."""
    with connect(node, home) as client:
        print_record(client.tasks.get(task), output)
