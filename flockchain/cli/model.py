"""`flockchain model`: how a model came to be, its files, and whether all of it is true."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flockchain.cli.connection import HomeOption, NodeOption, connect, resolve_home
from flockchain.cli.exit_codes import AlreadyThere
from flockchain.cli.output import Output, OutputFormat, print_record, print_rows
from flockchain.cli.task import TaskArgument
from flockchain.cli.trust import (
    GenesisFileOption,
    GenesisOption,
    PeriodOption,
    Trust,
    TrustedOption,
    TrustFileOption,
    build_progress,
    keeping_evidence,
    open_light_client,
    write_trust,
)
from flockchain.light import LightBlock

__all__ = ["app", "fetch", "lineage", "verify"]

app = typer.Typer(name="model", help="Models: steps that a committee certified.", no_args_is_help=True)


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
    genesis_hash: GenesisOption = None, genesis: GenesisFileOption = None, trusted: TrustedOption = None,
    period: PeriodOption = None, trust: TrustFileOption = None,
    home: HomeOption = None, node: NodeOption = None, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Verify every step against the chain's validators and every file against its root, trusting no node."""
    evidence = trust.parent if trust is not None else resolve_home(home) / "light"
    with connect(node, home) as client, keeping_evidence(evidence):
        light = open_light_client(client, Trust(genesis_hash, genesis, trusted, period, trust))
        steps = [0]
        progress = build_progress()

        def on_step(light_block: LightBlock) -> None:
            steps[0] += 1
            progress(light_block)

        try:
            verified = client.models.verify(task, light, on_step=on_step)
        finally:
            if trust is not None:
                write_trust(trust, light.store)
    record = {
        "task": verified.task, "is_verified": True, "height": verified.header.height,
        "genesis_hash": light.config.genesis_hash, "trusted_height": light.store.anchor.header.height,
        "headers_verified": steps[0], "steps": len(verified.lineage), "lineage": verified.lineage,
    }  # fmt: skip
    print_record(record, output)
