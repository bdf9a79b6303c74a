"""`flockchain task`: create a learning task, and see those that there are."""

from __future__ import annotations

from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from flockchain.cli.exit_codes import AlreadyThere
from flockchain.cli.output import Output, OutputFormat, print_record, print_rows
from flockchain.cli.workers import load_learning_module

if TYPE_CHECKING:
    from flockchain.primitives.rounds import TaskRecord

__all__ = ["TaskArgument", "app", "create", "draft", "list_all", "show"]

app = typer.Typer(name="task", help="Tasks: what a chain is asked to learn.", no_args_is_help=True)

TaskArgument = Annotated[int, typer.Argument(metavar="TASK", min=0, help="The task's number.")]


class AdapterModeName(StrEnum):
    """What trainers upload: the change of B over a frozen A, or A and B whose ranks add up."""

    FFA = "ffa"
    STACK = "stack"


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
        _print_task(client.tasks.create(spec, account=account), output)


@app.command("draft")
def draft(
    model: Annotated[Path, typer.Option("--model", metavar="DIR", help="Folder of the base model.")],
    suite: SuiteOption,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Where to write the task.")] = Path("task.toml"),
    name: Annotated[str, typer.Option("--name", help="What the task is called.")] = "task",
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How many rounds it has.")] = 5,
    trainers: Annotated[int, typer.Option("--trainers", min=1, help="Updates that a round takes at most.")] = 8,
    prompts: Annotated[int, typer.Option("--prompts", min=0, help="Rows that a round draws. [0: up to 512]")] = 0,
    rank: Annotated[int, typer.Option("--rank", min=1, help="Rank of an update.")] = 8,
    mode: Annotated[AdapterModeName, typer.Option("--mode", help="How updates add up.")] = AdapterModeName.FFA,
    target: Annotated[
        list[str] | None, typer.Option("--target", metavar="NAME", help="Layers called so. [default: all but the head]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    output: Output = OutputFormat.HUMAN,
) -> None:
    """Write a task file for a base model and its evaluation rows, to be read, changed and created."""
    if to.exists() and not force:
        raise AlreadyThere("there is a file of this name", file=to)
    drafts = load_learning_module("drafts")
    wanted = drafts.Draft(model, suite, name, rounds, trainers, rank, mode.value, tuple(target or ()), prompts)
    toml, about = drafts.draft_task(wanted)
    to.write_bytes(toml)
    print_record({"file": to, **about}, output)


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
        _print_task(client.tasks.get(task), output)


def _print_task(record: TaskRecord, output: OutputFormat) -> None:
    """All of it as JSON; for people, the layers of the adapter only by their number."""
    if output is OutputFormat.JSON:
        print_record(record, output)
        return
    shown: dict[str, object] = {"task": record.task, "name": record.spec.name}
    for part in (record, record.spec, record.spec.adapter):
        shown |= {field.name: getattr(part, field.name) for field in fields(part)}
    shown["layers"] = len(record.spec.adapter.modules)
    nested = ("spec", "adapter", "modules")
    print_record({name: value for name, value in shown.items() if name not in nested}, output)
