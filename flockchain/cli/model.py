"""`flockchain model`: how a model came to be, its files, and whether all of it is true."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flockchain.cli.connection import HomeOption, NodeOption, connect, parse_hash
from flockchain.cli.exit_codes import AlreadyThere, UserMistake
from flockchain.cli.output import Output, OutputFormat, print_note, print_record, print_rows
from flockchain.cli.task import TaskArgument
from flockchain.primitives.numbers import Hash

__all__ = ["app", "fetch", "lineage", "verify"]

app = typer.Typer(name="model", help="Models: steps that a committee certified.", no_args_is_help=True)

GenesisOption = Annotated[str | None, typer.Option("--genesis-hash", metavar="HASH", help="The chain that you trust.")]
TrustedOption = Annotated[
    str | None,
    typer.Option("--trusted", metavar="HEIGHT:HASH", help="A later block that you trust; nodes forget old validators."),
]


@app.command("lineage")
def lineage(
    task: TaskArgument, home: HomeOption = None, node: NodeOption = None, output: Output = OutputFormat.HUMAN
) -> None:
    """The certified steps of a task's model, oldest first."""
    with connect(node, home) as client:
        rows = [record.entry for record in client.models.get_lineage(task)]
    columns = ["round", "height", "updates", "aggregate", "aggregate_bytes"]
    print_rows(rows, columns, output, empty="the model has not moved yet")


@app.command("fetch")
def fetch(
    task: TaskArgument,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder for the files.")],
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    home: HomeOption = None, node: NodeOption = None, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Download the files that make up the model now, each checked by its root."""
    with connect(node, home) as client:
        model = client.models.fetch(task)
    steps = model.lineage[len(model.lineage) - len(model.aggregates) :]
    files = [to / f"round-{step.round:04d}.safetensors" for step in steps]
    there = [file for file in files if file.exists()]
    if there and not force:
        raise AlreadyThere("a file is there already", file=there[0])
    to.mkdir(parents=True, exist_ok=True)
    for file, data in zip(files, model.aggregates, strict=True):
        file.write_bytes(data)
    print_record({"task": model.task, "base_model": model.spec.base_model, "files": files}, output)


@app.command("verify")
def verify(
    task: TaskArgument,
    genesis: GenesisOption = None, trusted: TrustedOption = None,
    home: HomeOption = None, node: NodeOption = None, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Verify every step against the chain's validators and every file against its root."""
    with connect(node, home) as client:
        if genesis is None:
            print_note("note: taking the node's word for the genesis hash; --genesis-hash gives your own")
            chain = client.chain.get_status().genesis_hash
        else:
            chain = parse_hash(genesis, "a genesis hash")
        height, block = _parse_trusted(trusted)
        verified = client.models.verify(task, genesis_hash=chain, trusted_height=height, trusted_hash=block)
    record = {
        "task": verified.task, "is_verified": True, "height": verified.header.height, "genesis_hash": chain,
        "steps": len(verified.lineage), "lineage": verified.lineage,
    }  # fmt: skip
    print_record(record, output)


def _parse_trusted(text: str | None) -> tuple[int, Hash | None]:
    """Height and hash of a trusted block; genesis when none is given."""
    if text is None:
        return 0, None
    height, colon, block = text.partition(":")
    if not colon or not height.isdecimal():
        raise UserMistake("a trusted block is HEIGHT:HASH", got=text)
    return int(height), parse_hash(block, "a trusted block's hash")
