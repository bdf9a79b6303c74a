"""`flockchain devnet`: a whole network on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flockchain.cli.exit_codes import AlreadyThere, CheckFailed
from flockchain.cli.output import Output, OutputFormat, print_record
from flockchain.cli.workers import require_learning_side

__all__ = ["app", "up"]

app = typer.Typer(name="devnet", help="A network of real processes on this machine.", no_args_is_help=True)


@app.callback()
def _devnet() -> None:
    """A network of real processes on this machine."""


@app.command("up")
def up(
    validators: Annotated[int, typer.Option("--validators", min=1, help="Nodes, each with an evaluator.")] = 4,
    trainers: Annotated[int, typer.Option("--trainers", min=1, help="Trainers, malicious ones included.")] = 8,
    rounds: Annotated[int, typer.Option("--rounds", min=0, help="Rounds of the task; 0: the nodes alone.")] = 5,
    attack: Annotated[str | None, typer.Option("--attack", metavar="NAME:COUNT", help="What some trainers do.")] = None,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="DIR", help="With --rounds 0: what the nodes' evaluators hold.")
    ] = None,
    search_triggers: Annotated[
        bool, typer.Option("--search-triggers", help="Evaluators look for backdoors, too.")
    ] = False,
    guests: Annotated[int, typer.Option("--guests", min=0, help="Trainers whose places are left for you.")] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of keys, data and training.")] = 7,
    home: Annotated[Path, typer.Option("--home", metavar="DIR", help="Folder for everything.")] = Path(".devnet"),
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE", help="[default: DIR/report.json]")] = None,
    force: Annotated[bool, typer.Option("--force", help="Start over in a folder that is there.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="The nodes go on after the report, until Ctrl-C.")] = False,
    output: Output = OutputFormat.HUMAN,
) -> None:
    """Run a network until its task ends, and report. Ctrl-C stops everything.

    Exit code 8 if a round did not advance or the nodes' states differ.
    """
    from flockchain.devnet.plan import DevnetSettings, parse_attack
    from flockchain.devnet.run import is_good, run_devnet

    if rounds:
        require_learning_side("devnet up")
    folder = home.resolve()
    settings = DevnetSettings(
        folder, validators, trainers, rounds, parse_attack(attack), seed, model, guests, search_triggers
    )
    if folder.exists() and any(folder.iterdir()) and not force:
        raise AlreadyThere("there is a devnet in this folder", home=home)
    written = report or folder / "report.json"
    is_quiet = output is OutputFormat.JSON
    result = run_devnet(settings, written, is_forced=force, is_quiet=is_quiet, is_kept=keep)
    if is_quiet and result is not None:
        print_record(result, output)
    if result is not None and not is_good(result):
        raise CheckFailed("the network ran, and did not do what it should", report=written)
